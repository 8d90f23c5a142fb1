"""Memory budgets of TLS, as differences from a baseline measured in the same test."""

import socket
import time

import pytest
from measure import held

from harness import HANG

MIB = 1024  # KiB
FEW, MANY, PER_CONNECTION = 1000, 4000, 350  # bytes
AFTER_HANDSHAKES = 4 * MIB
OVER_PLAIN = 1 * MIB
SETTLING, TRIES = 40, 5  # seconds
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

pytestmark = pytest.mark.slow


def enough_descriptors():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MANY + 200:
        if hard != resource.RLIM_INFINITY and hard < MANY + 200:
            pytest.skip(f"only {hard} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + 200, hard))


def private(server):
    return held(server.pid)[1]


def at_rest(server):
    """KiB of private memory, once nothing has been given back for some seconds."""
    least, since = private(server), time.monotonic()
    end = since + SETTLING
    while time.monotonic() < min(since + 5, end):
        time.sleep(0.2)
        if (now := private(server)) < least:
            least, since = now, time.monotonic()
    return least


def ask(server, context):
    client = context.wrap_socket(
        socket.create_connection(("localhost", server.port), HANG), server_hostname="localhost"
    )
    client.sendall(GET)
    assert client.recv(15) == b"HTTP/1.1 200 OK"
    return client


def test_an_idle_connection(tls_server, authority):
    """Each has had one response. The records of connections, and their sessions, are all that grows."""
    enough_descriptors()
    server = tls_server("--header-timeout", 0, "--keep-alive-timeout", 600)
    context = authority.context()
    before = at_rest(server)
    clients = [ask(server, context) for _ in range(FEW)]
    few = at_rest(server)
    assert few - before <= AFTER_HANDSHAKES, f"{before} KiB before the first handshake, {few} after {FEW}"
    clients += [ask(server, context) for _ in range(MANY - FEW)]
    most = few + (MANY - FEW) * PER_CONNECTION / 1024
    # What the handshakes left goes back step by step, later on a busy machine.
    with_many = next((held for held in (at_rest(server) for _ in range(TRIES)) if held <= most), None)
    assert with_many is not None, f"{few} KiB with {FEW}, {private(server)} with {MANY}"
    for client in clients:
        client.close()


def test_over_a_plain_server(tls_server, cli_server, authority):
    encrypted, plain = tls_server(), cli_server("tls_apps:app")
    ask(encrypted, authority.context()).close()
    with socket.create_connection(("localhost", plain.port), HANG) as client:
        client.sendall(GET)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    # The first handshake leaves 0.75 MiB.
    assert at_rest(encrypted) - at_rest(plain) <= OVER_PLAIN + 0.75 * MIB
