"""TLS together with the PROXY protocol, which comes before it, with fields of proxies, and with the access log."""

import json
import socket

import pytest

from harness import wait_until

GET = "GET /scope HTTP/1.1\r\nHost: localhost:8443\r\nConnection: close\r\n{}\r\n"
V1 = b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 203, 0, 113, 1]) + b"\x12\x67\x01\xbb"


def scope(server, authority, header=b"", fields=""):
    """The scope of a request behind a PROXY header."""
    with socket.create_connection(("localhost", server.port), 30) as raw:
        raw.sendall(header)
        with authority.context().wrap_socket(raw, server_hostname="localhost") as secured:
            secured.sendall(GET.format(fields).encode())
            answer = b"".join(iter(lambda: secured.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    return json.loads(body)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_proxy_header_comes_before_tls(tls_server, authority, header):
    server = tls_server("--proxy-protocol")
    found = scope(server, authority, header)
    assert (found["client"], found["server"], found["scheme"]) == (["192.0.2.7", 4711], ["203.0.113.1", 443], "https")


def test_the_proxy_header_in_pieces(tls_server, authority):
    server = tls_server("--proxy-protocol")
    with socket.create_connection(("localhost", server.port), 30) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(V2)):
            raw.sendall(V2[at : at + 1])
        with authority.context().wrap_socket(raw, server_hostname="localhost") as secured:
            secured.sendall(GET.format("").encode())
            assert secured.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_tls_without_a_proxy_header_is_closed(tls_server, authority):
    server = tls_server("--proxy-protocol")
    with pytest.raises(OSError):
        scope(server, authority)
    wait_until(lambda: "no PROXY header" in server.logs(), server.logs)
    assert scope(server, authority, V1)["client"] == ["192.0.2.7", 4711]


@pytest.mark.parametrize(
    "fields, scheme, port",
    [
        ("", "https", None),
        ("X-Forwarded-Proto: http\r\n", "http", None),
        ("X-Forwarded-Host: example.com\r\n", "https", 443),
        ("X-Forwarded-Host: example.com\r\nX-Forwarded-Proto: http\r\n", "http", 80),
    ],
)
def test_fields_of_proxies_over_tls(tls_server, authority, fields, scheme, port):
    server = tls_server()
    found = scope(server, authority, fields=f"X-Forwarded-For: 192.0.2.9\r\n{fields}")
    assert (found["client"][0], found["scheme"]) == ("192.0.2.9", scheme)
    assert port is None or found["server"] == ["example.com", port]


def test_the_access_log_over_tls(tls_server, authority, tmp_path):
    path = tmp_path / "access.log"
    server = tls_server("--access-log", "--access-log-path", path)
    scope(server, authority, fields="X-Forwarded-For: 192.0.2.9\r\n")
    wait_until(lambda: path.exists() and path.read_text(), server.logs)
    line = json.loads(path.read_text())
    assert (line["client"], line["path"], line["status"]) == ("192.0.2.9", "/scope", 200)


def test_hsts_needs_no_proxy(tls_server, authority):
    server = tls_server("--hsts-max-age", "300")
    for fields, sent in (("", 1), ("X-Forwarded-Proto: http\r\n", 0)):
        with socket.create_connection(("localhost", server.port), 30) as raw:
            with authority.context().wrap_socket(raw, server_hostname="localhost") as secured:
                secured.sendall(GET.format(fields).encode())
                answer = b"".join(iter(lambda: secured.recv(65536), b""))
        assert answer.count(b"\r\nstrict-transport-security: max-age=300\r\n") == sent
