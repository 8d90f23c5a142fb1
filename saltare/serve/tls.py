"""The options of TLS, as the core takes them."""

import os
from contextlib import suppress

VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}


class Tickets:
    """A file in memory with the secret of session tickets: all workers have it, and the program after a SIGHUP. The
    first core fills it, so the secret is never in Python's heap, which may be parked or dumped.
    """

    def __init__(self, inherited=None):
        self._fd = os.memfd_create("saltare-tickets", os.MFD_CLOEXEC) if inherited is None else inherited
        os.set_inheritable(self._fd, False)

    def fileno(self):
        return self._fd

    def __del__(self):
        with suppress(AttributeError, OSError):  # it was not opened, or is closed already
            os.close(self._fd)


def tls_options(config):
    """Paths are absolute: the core reads the files again when they change, and the app may change the folder."""
    options = {
        "tls_certificates": paths(config.ssl_certfile),
        "tls_min_version": VERSIONS[config.ssl_min_version],
        "tls_required": int(config.ssl_verify_client),
    }
    if config.ssl_keyfile:
        options["tls_keys"] = paths(config.ssl_keyfile)
    if config.ssl_keyfile_password:
        options["tls_password"] = config.ssl_keyfile_password.encode()
    if config.ssl_ca_file:
        options["tls_authorities"] = paths([config.ssl_ca_file])
    if config.ssl_ciphers:
        options["tls_ciphers"] = config.ssl_ciphers.encode()
    if config.tls_session_cache_size:
        config.tickets = config.tickets or Tickets()
        options["tls_tickets"] = config.tickets.fileno()
    return options


def paths(names):
    return b"\0".join(os.fsencode(os.path.abspath(name)) for name in names)
