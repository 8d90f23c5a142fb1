/* The extension "tls" of scopes: the certificates of both sides, the version and the cipher suite. */
#include "py_tls.h"

#include <string.h>

/* The certificates of the client as a tuple of str, its own first. */
static PyObject *chain(const struct saltare_tls *tls)
{
    PyObject *all = PyTuple_New(tls->n_chain);
    const char *at = (const char *)tls->chain;
    for (uint32_t i = 0; all != NULL && i < tls->n_chain; at += tls->lengths[i++]) {
        PyObject *one = PyUnicode_DecodeASCII(at, tls->lengths[i], NULL);
        if (one == NULL) {
            Py_CLEAR(all);
        } else {
            PyTuple_SET_ITEM(all, i, one);
        }
    }
    return all;
}

static PyObject *client_name(const struct saltare_tls *tls)
{
    if (tls->name_len == 0) return Py_NewRef(Py_None);
    return PyUnicode_DecodeUTF8((const char *)tls->name, tls->name_len, NULL);
}

/* client_cert_error is always None: a client whose certificate is not valid is refused in the handshake. */
static PyObject *new_extension(const struct saltare_tls *tls)
{
    PyObject *name = client_name(tls), *certificates = name ? chain(tls) : NULL, *made = NULL;
    if (certificates != NULL) {
        made = Py_BuildValue("{s:s#, s:O, s:O, s:O, s:I, s:I}", "server_cert", (const char *)tls->server, (Py_ssize_t)tls->server_len,
                             "client_cert_chain", certificates, "client_cert_name", name, "client_cert_error", Py_None,
                             "tls_version", tls->version, "cipher_suite", tls->suite);
    }
    Py_XDECREF(name);
    Py_XDECREF(certificates);
    return made;
}

static bool is_last(const tls_extension *last, const struct saltare_tls *tls)
{
    return last->extension != NULL && last->version == tls->version && last->suite == tls->suite &&
           memcmp(last->key, tls->key, sizeof tls->key) == 0;
}

/* New reference to the extension that scopes copy. Making one may run Python, which may make another. */
static PyObject *extension_of(tls_extension *last, const struct saltare_tls *tls)
{
    if (is_last(last, tls)) return Py_NewRef(last->extension);
    PyObject *made = new_extension(tls);
    if (made == NULL) return NULL;
    memcpy(last->key, tls->key, sizeof tls->key);
    last->version = tls->version;
    last->suite = tls->suite;
    Py_XSETREF(last->extension, Py_NewRef(made));
    return made;
}

int py_tls_put(tls_extension *last, PyObject *extensions, const struct saltare_tls *tls)
{
    PyObject *extension = extension_of(last, tls), *copy = extension ? PyDict_Copy(extension) : NULL;
    int status = copy ? PyDict_SetItemString(extensions, "tls", copy) : -1;
    Py_XDECREF(extension);
    Py_XDECREF(copy);
    return status;
}

void py_tls_clear(tls_extension *last)
{
    Py_CLEAR(last->extension);
}
