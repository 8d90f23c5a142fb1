"""The extension "tls" of scopes (ASGI TLS extension 0.2). A client may send its authority behind its own certificate."""

import http.client
import json
import socket
import ssl
import subprocess

import pytest
from websockets.sync.client import connect

VERSIONS = {ssl.TLSVersion.TLSv1_2: 0x0303, ssl.TLSVersion.TLSv1_3: 0x0304}
SUITES = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
}


def client(server, context, name="localhost"):
    one = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=30)
    raw = socket.create_connection(("localhost", server.port), 30)
    one.sock = context.wrap_socket(raw, server_hostname=name)
    return one


def extension(one, *fields):
    one.request("GET", "/tls", headers=dict(fields))
    return json.loads(one.getresponse().read())


def first(certificate):
    """The first certificate of a file in PEM, as the server writes it."""
    text = open(certificate).read()
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(text[: text.index("-----END")] + ssl.PEM_FOOTER))


def subject(certificate):
    command = ["openssl", "x509", "-in", certificate, "-noout", "-subject", "-nameopt", "RFC2253"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("subject=").strip()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_without_a_certificate_of_the_client(tls_server, authority, localhost, version):
    context = authority.context()
    context.maximum_version = version
    one = client(tls_server(), context)
    suite = one.sock.cipher()[0]
    for _ in range(2):
        assert extension(one) == {
            "server_cert": first(localhost[0]),
            "client_cert_chain": [],
            "client_cert_name": None,
            "client_cert_error": None,
            "tls_version": VERSIONS[version],
            "cipher_suite": SUITES[suite],
        }
    one.close()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_certificates_of_clients(tls_server, authority, version):
    """Each client sees its own; also those that take turns, and one whose session is resumed."""
    server = tls_server("--ssl-ca-file", authority.certificate)
    pairs = [authority.issue("one.test"), authority.issue("two.test"), None]
    contexts = [authority.context(certificate=pair) for pair in pairs]
    for context in contexts:
        context.maximum_version = version
    clients = [client(server, context) for context in contexts]
    for _ in range(2):
        for one, pair in zip(clients, pairs, strict=True):
            found = extension(one)
            assert found["client_cert_chain"][:1] == ([first(pair[0])] if pair else [])
            assert found["client_cert_name"] == (subject(pair[0]) if pair else None)
            assert found["client_cert_error"] is None
    session = clients[0].sock.session
    for one in clients:
        one.close()
    raw = socket.create_connection(("localhost", server.port), 30)
    again = http.client.HTTPSConnection("localhost", server.port, timeout=30)
    again.sock = contexts[0].wrap_socket(raw, server_hostname="localhost", session=session)
    assert extension(again)["client_cert_chain"][0] == first(pairs[0][0])
    assert again.sock.session_reused
    again.close()


def test_a_chain(tls_server, authority, tmp_path):
    """The client's certificate is the first of several."""
    import trustme

    root = trustme.CA()
    between = root.create_child_ca()
    leaf = between.issue_cert("client.test")
    root.cert_pem.write_to_path(tmp_path / "root.pem")
    for number, pem in enumerate(leaf.cert_chain_pems):
        pem.write_to_path(tmp_path / "client.pem", append=number > 0)
    leaf.private_key_pem.write_to_path(tmp_path / "client.key")
    server = tls_server("--ssl-ca-file", tmp_path / "root.pem", "--ssl-verify-client")
    one = client(server, authority.context(certificate=(tmp_path / "client.pem", tmp_path / "client.key")))
    chain = extension(one)["client_cert_chain"]
    one.close()
    assert [ssl.PEM_cert_to_DER_cert(pem) for pem in chain] == [
        ssl.PEM_cert_to_DER_cert(pem.bytes().decode()) for pem in leaf.cert_chain_pems
    ]
    assert len(chain) == 2


def test_several_certificates(cli_server, authority, localhost):
    """The one that the client's name has chosen, also in a resumed session."""
    other = authority.issue("other.test")
    pairs = {"localhost": localhost, "other.test": other}
    args = [part for pair in pairs.values() for part in ("--ssl-certfile", pair[0], "--ssl-keyfile", pair[1])]
    server = cli_server("tls_apps:app", *args)
    for name, (certificate, _) in pairs.items():
        one = client(server, authority.context(), name)
        assert extension(one)["server_cert"] == first(certificate)
        one.close()


def test_a_connection_keeps_the_certificate_that_it_got(cli_server, authority, tmp_path):
    from harness import wait_until

    certificate, key = authority.issue("localhost", name=str(tmp_path / "changing"))
    server = cli_server("tls_apps:app", "--ssl-certfile", certificate, "--ssl-keyfile", key)
    old, kept = first(certificate), client(server, authority.context())
    assert extension(kept)["server_cert"] == old
    authority.issue("localhost", name=str(tmp_path / "changing"))

    def served():
        one = client(server, authority.context())
        found = extension(one)["server_cert"]
        one.close()
        return found

    wait_until(lambda: served() == first(certificate))
    assert first(certificate) != old
    assert extension(kept)["server_cert"] == old
    kept.close()


def test_a_websocket(tls_server, authority, localhost):
    server = tls_server("--ssl-ca-file", authority.certificate)
    pair = authority.issue("client")
    address = f"wss://localhost:{server.port}/tls"
    with connect(address, ssl=authority.context(certificate=pair)) as one:
        found = json.loads(one.recv(timeout=30))
    assert (found["server_cert"], found["client_cert_chain"][0]) == (first(localhost[0]), first(pair[0]))


def test_the_app_owns_it(cli_server, authority, localhost):
    """What one request changes in its extension, the next does not see."""
    server = cli_server("tls_apps:changes", "--ssl-certfile", localhost[0], "--ssl-keyfile", localhost[1])
    one = client(server, authority.context())
    assert [extension(one) for _ in range(3)] == [6] * 3
    one.close()


def test_plain_connections_have_none(cli_server):
    one = http.client.HTTPConnection("localhost", cli_server("tls_apps:app").port, timeout=30)
    assert extension(one) is None
    one.close()


def test_behind_a_proxy(tls_server, authority):
    """It is that of the connection, whatever the fields of a proxy say."""
    one = client(tls_server(), authority.context())
    assert extension(one, ("X-Forwarded-Proto", "http"))["tls_version"] == 0x0304
    one.close()
