"""Budgets of memory, as differences to what is measured in the same test. Per process."""

import os
import socket
import statistics
import time

import pytest
from measure import environment, floor, held

from harness import HANG

MIB = 1024  # KiB
FASTAPI_RSS, FASTAPI_PRIVATE = 3 * MIB, 1.5 * MIB
CONNECTIONS, PER_CONNECTION = 5000, 250  # bytes
DESCRIPTORS = CONNECTIONS + 200
GROWTH = 1 * MIB
KINDS = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\nAccept: */*\r\nX-Own: 1\r\n\r\n",
    b"GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + b"y" * 9000,
    b"POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]
REQUESTS = int(os.environ.get("SALTARE_TEST_REQUESTS", "30000"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("bytecode")


def test_fastapi_idle(cli_server, cache):
    """Median of three; the first start of each only fills the cache of bytecode."""
    floors, servers = [], []
    for _ in range(4):
        floors.append(floor("app_fast", cache))
        server = cli_server("app_fast:app", env=environment(cache))
        time.sleep(0.5)
        servers.append(held(server.pid))
        server.stop()
    rss, private = (
        statistics.median(s[i] - f[i] for s, f in zip(servers[1:], floors[1:], strict=True)) for i in (0, 1)
    )
    assert rss <= FASTAPI_RSS, f"{rss} KiB of RSS over the floor"
    assert private <= FASTAPI_PRIVATE, f"{private} KiB of private memory over the floor"


def connect(port):
    return socket.create_connection(("127.0.0.1", port), HANG)


def ask(client, request, want=b"HTTP/1.1 200"):
    client.sendall(request)
    assert client.recv(65536).startswith(want)


def enough_descriptors():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DESCRIPTORS:
        if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
            pytest.skip(f"only {hard} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


def test_an_idle_connection(cli_server):
    """Each has been answered once, and waits."""
    enough_descriptors()
    options = ("--keep-alive-timeout", 600, "--max-concurrent-connections", CONNECTIONS + 100)
    server = cli_server("app_raw:app", *options)
    warm = [connect(server.port) for _ in range(50)]
    for client in warm:
        ask(client, KINDS[0])
    time.sleep(0.2)
    before = held(server.pid)
    clients = [connect(server.port) for _ in range(CONNECTIONS)]
    for client in clients:
        ask(client, KINDS[0])
    after = held(server.pid)
    for client in clients + warm:
        client.close()
    assert (after[0] - before[0]) * 1024 / CONNECTIONS <= PER_CONNECTION
    assert (after[1] - before[1]) * 1024 / CONNECTIONS <= PER_CONNECTION


def rounds(client, count):
    """Sends every kind of request in turn, all in one go, and reads until the last answer."""
    batch = b"".join(KINDS) + b"GET /end HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(count // (len(KINDS) + 1)):
        client.sendall(batch)
        seen = 0
        while seen < len(KINDS) + 1:
            piece = client.recv(1 << 20)
            assert piece
            seen += piece.count(b"HTTP/1.1 200 OK")


def test_many_requests_leave_nothing(cli_server):
    """Memory stays as it was after a warm-up, and the counters say that only the asking request exists."""
    server = cli_server("app_raw:app", "--max-keepalive-requests", 0)
    client = connect(server.port)
    rounds(client, 5000)
    before = held(server.pid)
    rounds(client, REQUESTS)
    after = held(server.pid)
    assert after[0] - before[0] <= GROWTH
    client.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
    counters = eval(client.recv(65536).split(b"\r\n\r\n")[1])
    client.close()
    expected = dict.fromkeys(counters, 0) | {"cores": 1, "handles": 1, "exchanges": 1, "connections": 1, "streams": 1}
    assert counters == expected
