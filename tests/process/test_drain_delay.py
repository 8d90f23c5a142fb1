"""drain_delay: after SIGTERM the server goes on serving, and its health answers say that it is about to stop."""

import signal

import pytest

from family import workers
from harness import wait_until

FOREVER = "600"  # seconds: longer than any test
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def delayed(cli_server):
    def start(delay, *args):
        return cli_server("drain_apps:app", "--health-path", "/health", "--drain-delay", delay, *args)

    return start


def health(raw, server):
    return raw(server).get("/health").read_response()


def wait_for_drain(raw, server):
    wait_until(lambda: health(raw, server).status == 503)


@WORKERS
def test_it_serves_on_until_a_second_signal(delayed, raw, workers):
    server = delayed(FOREVER, "--workers", workers)
    kept = raw(server)
    assert (health(raw, server).body, kept.get("/quick").read_response().status) == (b"ok", 200)
    server.popen.send_signal(signal.SIGTERM)
    wait_for_drain(raw, server)
    reply = health(raw, server)
    assert (reply.body, reply.get("connection")) == (b"draining", None)
    assert kept.get("/quick").read_response().get("connection") is None
    server.wait_for_log("serving on for a drain_delay of 600 s")

    def ended():
        server.popen.send_signal(signal.SIGTERM)  # again and again: those of one moment count as one
        return server.popen.poll() is not None

    wait_until(ended)


@WORKERS
def test_then_it_stops(delayed, raw, workers):
    server = delayed("0.2", "--workers", workers)
    kept = raw(server)
    assert kept.get("/quick").read_response().get("connection") is None
    server.popen.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert kept.read_all() == b""
    assert "lifespan shutdown begins" in server.logs()


@WORKERS
def test_other_signals_are_not_delayed(delayed, workers):
    assert delayed(FOREVER, "--workers", workers).stop(signal.SIGINT) == 0


def test_a_worker_that_is_replaced_does_not_wait(delayed, raw):
    server = delayed(FOREVER, "--workers", "2")
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: len(workers(server)) == 2 and not set(workers(server)) & set(before))
    assert health(raw, server).status == 200
    assert server.stop(signal.SIGINT) == 0


def test_a_program_that_calls_shutdown_is_not_delayed(serve, raw):
    async def app(scope, receive, send):
        raise AssertionError

    server = serve(app, lifespan="off", health_path="/health", drain_delay=600)
    assert health(raw, server).status == 200
    server.stop()
