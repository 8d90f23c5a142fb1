"""Options that meet: limits with what the server answers, limits with the access log, an admin address with limits."""

import socket

from harness import HANG, wait_until
from wire_apps import QUIET, get, hello


def statuses(raw, server, target, count):
    """Of requests on one connection, one after the other."""
    peer = raw(server)
    return [peer.send(get(target)).read_response().status for _ in range(count)]


def test_health_checks_need_no_token(serve, raw):
    server = serve(hello, health_path="/health", rate_limit_per_sec=1, rate_limit_burst=2, **QUIET)
    assert statuses(raw, server, "/health", 10) == [200] * 10
    assert statuses(raw, server, "/", 3) == [200, 200, 429]
    assert statuses(raw, server, "/health", 2) == [200] * 2


def test_health_checks_are_answered_at_the_limit_of_requests(serve, raw):
    async def waits(scope, receive, send):
        await receive()
        await receive()

    server = serve(waits, health_path="/health", limit_concurrency=1, **QUIET)
    raw(server).send(get())
    wait_until(lambda: statuses(raw, server, "/", 1) == [503])
    assert statuses(raw, server, "/health", 3) == [200] * 3


LARGE = 8 << 20  # bytes: more than sockets take


async def large(scope, receive, send):
    if scope["path"] == "/waits":
        await receive()
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await send({"type": "http.response.body", "body": bytes(LARGE)})


def test_a_response_that_is_only_logged_is_not_in_progress(serve, raw, tmp_path):
    """With an access log, the server keeps a request until its last byte has left."""
    server = serve(large, limit_concurrency=1, access_log_path=str(tmp_path / "log"), **QUIET)
    slow = raw(server).send(get())
    assert slow.read_until(b"\r\n\r\n")
    # The app's task may not have ended yet.
    wait_until(lambda: statuses(raw, server, "/", 1) == [200])
    assert statuses(raw, server, "/", 3) == [200] * 3
    slow.read_exactly(LARGE)


def test_the_time_of_a_request_ends_with_the_app(serve, raw, tmp_path):
    server = serve(large, request_timeout=0.2, access_log_path=str(tmp_path / "log"), **QUIET)
    slow = raw(server).send(get())
    assert slow.read_until(b"\r\n\r\n")
    assert raw(server).send(get("/waits")).read_response().status == 504  # so the time of both is over
    slow.read_exactly(LARGE)


def test_an_admin_address_is_open_at_the_limit_of_connections(serve, raw, tmp_path):
    admin = str(tmp_path / "admin")
    server = serve(large, admin_bind=f"unix:{admin}", health_path="/health", max_concurrent_connections=1, **QUIET)
    raw(server).send(get("/waits"))
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(HANG)
            peer.connect(admin)
            peer.sendall(get("/health"))
            assert peer.recv(100).startswith(b"HTTP/1.1 200 OK")
