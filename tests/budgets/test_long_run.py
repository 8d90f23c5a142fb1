"""After very many requests of every kind a server is as large as before, and holds nothing.

BUDGET_REQUESTS in the environment sets the number: 30,000 by default, 300,000 before a release.
"""

import ast
import os
import socket
import time

from measure import held

from harness import HANG
from rawsocket import Raw

REQUESTS = int(os.environ.get("BUDGET_REQUESTS", "30000"))
GROWTH = 1024  # KiB


def request(method, target, *fields, body=b""):
    return "\r\n".join([f"{method} /{target} HTTP/1.1", "Host: test", *fields, "", ""]).encode() + body


SMALL = [request("GET", "small"), request("HEAD", "small"), request("GET", "unread"), request("GET", "polled")]
KINDS = [  # requests sent together, and whether the server closes the connection after the last one
    (SMALL * 12, False),
    ([request("GET", "large"), request("GET", "stream")], False),
    ([request("POST", "echo", "Content-Length: 5", body=b"hello")] * 4, False),
    ([request("POST", "echo", "Content-Length: 90000", body=b"x" * 90_000)], False),
    ([request("POST", "echo", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")] * 2, False),
    (
        [request("POST", "unread", "Content-Length: 5", body=b"hello"), request("GET", "small", "Connection: close")],
        True,
    ),
    ([request("GET", "fail")], True),
    ([b"GET / HTTP/1.1\r\nbad header\r\n\r\n"], True),
]


def exchange(server, requests, closes, times):
    """Sends the requests over one connection that many times, and reads the responses."""
    done = 0
    with Raw(server) as peer:
        for _ in range(times):
            peer.send(b"".join(requests))
            for one in requests:
                peer.read_response(one.split(b" ", 1)[0].decode())
            done += len(requests)
            if closes:
                assert peer.read_all() == b""
                break
    return done


def leave(server):
    """Disconnects in the middle of a head, a body or a response."""
    for begun in (b"GET / HT", request("POST", "echo", "Content-Length: 50", body=b"x"), request("GET", "endless")):
        with Raw(server) as peer:
            peer.send(begun)
            if b"endless" in begun:
                peer.socket.recv(1000)
    return 3


def burden(server, requests):
    done = 0
    while done < requests:
        for kind, closes in KINDS:
            done += exchange(server, kind, closes, times=4)
        done += leave(server)


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def idle(server, most):
    """Waits until the server has noticed that all connections are closed."""
    deadline = time.monotonic() + HANG
    while descriptors(server) > most:
        assert time.monotonic() < deadline, f"{descriptors(server)} descriptors, {most} at first"
        time.sleep(0.01)


def test_many_requests_leave_nothing_behind(cli_server, tmp_path):
    report = tmp_path / "report"
    server = cli_server("app_mixed:app", env={"BUDGET_REPORT": str(report)})
    with socket.create_connection(("127.0.0.1", server.port)):
        at_first = descriptors(server)
    burden(server, REQUESTS // 3)
    idle(server, at_first)
    _, warm = held(server.pid)
    burden(server, REQUESTS - REQUESTS // 3)
    idle(server, at_first)
    _, after = held(server.pid)
    assert server.stop() == 0
    assert after - warm <= GROWTH, f"{after - warm} KiB more"
    counters = ast.literal_eval(report.read_text())
    assert counters and not any(counters.values()), counters
