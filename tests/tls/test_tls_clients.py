"""HTTPS and WebSocket over TLS with clients that people use."""

import asyncio
import hashlib
import os
import ssl
import subprocess

import pytest

DATA = os.urandom(3_000_000)
DRIVERS = ["asyncio", "uvloop"]


@pytest.fixture(params=DRIVERS)
def server(request, tls_server, tmp_path):
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed for this Python")
    (tmp_path / "file.bin").write_bytes(DATA)
    return tls_server("--loop", request.param, env={"FILE_TO_SEND": str(tmp_path / "file.bin")})


def url(server, path="/"):
    return f"https://localhost:{server.port}{path}"


def curl(authority, *args):
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", authority.certificate, *args]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize("version", [["--tls-max", "1.2"], ["--tlsv1.3"]], ids=["1.2", "1.3"])
def test_curl(server, authority, tmp_path, version):
    assert server.url.startswith("https://")
    assert curl(authority, *version, url(server)) == b"https"
    (tmp_path / "upload").write_bytes(DATA)
    digest = hashlib.sha256(DATA).hexdigest().encode()
    for framing in ([], ["-H", "transfer-encoding: chunked"]):
        upload = ["--data-binary", f"@{tmp_path / 'upload'}", *framing]
        assert curl(authority, *version, *upload, url(server, "/digest")) == digest
    assert curl(authority, *version, url(server, "/file")) == DATA
    assert curl(authority, *version, url(server, "/bytes/1048576")) == bytes(range(256)) * 4096
    # Several requests over one connection.
    many = [url(server, "/bytes/256")] * 20
    written = curl(authority, *version, "--write-out", "%{num_connects}\n", *many)
    assert written == bytes(range(256)) + b"1\n" + (bytes(range(256)) + b"0\n") * 19


def test_httpx(server, authority):
    httpx = pytest.importorskip("httpx")
    with httpx.Client(verify=authority.context()) as client:
        for _ in range(3):
            assert client.get(url(server)).text == "https"
        digest = hashlib.sha256(DATA).hexdigest()
        assert client.post(url(server, "/digest"), content=DATA).text == digest
        assert client.get(url(server, "/stream")).text == "".join(f"{n}\n" for n in range(100))
        assert client.get(url(server, "/file")).content == DATA


def test_aiohttp(server, authority):
    aiohttp = pytest.importorskip("aiohttp")

    async def talk():
        context = authority.context()
        async with aiohttp.ClientSession() as session:

            async def get(path):
                async with session.get(url(server, path), ssl=context) as answer:
                    return await answer.read()

            assert await asyncio.gather(*[get("/bytes/65536") for _ in range(50)]) == [bytes(range(256)) * 256] * 50
            async with session.ws_connect(url(server), ssl=context) as socket:
                assert await socket.receive_str() == "wss"
                for size in (0, 1, 125, 126, 65_535, 65_536, 500_000):
                    await socket.send_bytes(DATA[:size])
                    assert await socket.receive_bytes() == DATA[:size]

    asyncio.run(talk())


def test_websockets(server, authority):
    connect = pytest.importorskip("websockets.sync.client").connect
    with connect(f"wss://localhost:{server.port}/", ssl=authority.context(), max_size=None) as socket:
        assert socket.recv() == "wss"
        for size in (1, 100, 20_000, 1_000_000):
            socket.send(DATA[:size])
            assert socket.recv() == DATA[:size]
        socket.ping().wait(20)


def test_a_slow_reader_gets_everything(server, authority):
    """While it does not read, other clients are served."""
    with connected(server, authority) as slow:
        slow.sendall(b"GET /bytes/33554432 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert slow.recv(17) == b"HTTP/1.1 200 OK\r\n"
        assert curl(authority, url(server)) == b"https"
        digest, size = hashlib.sha256(), 0
        body = b""
        while b"\r\n\r\n" not in body:
            body += slow.recv(4096)
        piece = body.partition(b"\r\n\r\n")[2]
        while piece:
            digest.update(piece)
            size += len(piece)
            piece = slow.recv(1 << 20)
    assert size == 33554432
    assert digest.digest() == hashlib.sha256(bytes(range(256)) * 131072).digest()


def connected(server, authority, **more):
    import socket

    return authority.context(**more).wrap_socket(
        socket.create_connection(("localhost", server.port), 30),
        server_hostname="localhost",
        suppress_ragged_eofs=False,
    )


def test_close_notify_comes_before_the_end(server, authority):
    """A clean end is told apart from a cut (RFC 8446 6.1): an EOF without it would raise."""
    with connected(server, authority) as one:
        one.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        data = b""
        while piece := one.recv(4096):
            data += piece
        assert data.endswith(b"https")
    idle = connected(server, authority)
    idle.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert idle.recv(15) == b"HTTP/1.1 200 OK"
    assert server.stop() == 0
    while idle.recv(4096):
        pass
    idle.close()


def test_alpn(server, authority):
    context = authority.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    import socket

    with context.wrap_socket(
        socket.create_connection(("localhost", server.port), 30), server_hostname="localhost"
    ) as one:
        assert one.selected_alpn_protocol() == "http/1.1"
        assert one.version() == "TLSv1.3"


def test_older_versions_are_refused(tls_server, authority):
    server = tls_server("--ssl-min-version", "1.3")
    context = authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    import socket

    with pytest.raises(ssl.SSLError, match="protocol version"):
        context.wrap_socket(socket.create_connection(("localhost", server.port), 30), server_hostname="localhost")
    server.wait_for_log("failed: client offered only unsupported versions")


def test_ciphers(tls_server, authority):
    """Only the suite that is named is offered in TLS 1.2."""
    server = tls_server("--ssl-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305")
    assert curl(authority, "--tls-max", "1.2", url(server)) == b"https"
    for suite, allowed in (("ECDHE-ECDSA-CHACHA20-POLY1305", True), ("ECDHE-ECDSA-AES128-GCM-SHA256", False)):
        context = authority.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
        import socket

        raw = socket.create_connection(("localhost", server.port), 30)
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as one:
                assert one.cipher()[0] == suite
        except ssl.SSLError:
            assert not allowed
        else:
            assert allowed
