"""`gunicorn -k saltare.workers.SaltareWorker`: gunicorn's arbiter, hooks and signals, and our server."""

import os
import signal
import subprocess
import sys

import pytest

from arbiters import Recorder
from family import maps, wait_for_end
from harness import wait_until
from rawsocket import Raw
from saltare.options.techniques import untested

pytest.importorskip("gunicorn.config")

HEAP = "/memfd:saltare-heap"


# ---- imports ----


def test_the_core_is_loaded_after_the_fork(gunicorn):
    """Also with --preload: neither the worker class nor the app's import loads Go into the arbiter."""
    server = gunicorn("--preload", "-w", "2")
    server.wait_for_workers(2)
    assert server.get("/core").body == b"False"
    assert "_core" not in maps(server.pid)
    assert all("_core" in maps(pid) for pid in server.workers())
    server.reload()
    assert "_core" not in maps(server.pid)


@pytest.mark.skipif(untested() is not None, reason="the technique is off on this interpreter")
@pytest.mark.parametrize("without, shares", [("", True), ("shared-heap", False)])
def test_preloaded_workers_share_the_heap(gunicorn, without, shares):
    server = gunicorn("--preload", "-w", "2", env={"SALTARE_MEMORY_WITHOUT": without})
    workers = server.wait_for_workers(2)
    assert {HEAP in maps(pid) for pid in (server.pid, *workers)} == {shares}
    assert {int(server.get().body) for _ in range(20)} <= set(workers)
    after = server.reload()
    assert {HEAP in maps(pid) for pid in after} == {shares}


def test_importing_the_workers_loads_no_core():
    code = "import sys, saltare.workers; print(sorted(name for name in sys.modules if '_core' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_gunicorn_the_import_says_what_to_do():
    code = "import sys; sys.modules['gunicorn'] = None; import saltare.workers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: saltare.workers has worker classes for gunicorn, which cannot be imported")
    assert "pip install gunicorn; or without gunicorn: saltare main:app --workers 4" in last


# ---- hooks and signals ----


def test_all_hooks_are_called_in_order(gunicorn):
    """Except for those of requests, which uvicorn's worker does not call either."""
    server = gunicorn("-c", "gunicorn_hooks.py")
    (first,) = server.wait_for_workers(1)
    assert server.get().body == b"%d" % first
    (second,) = server.reload()
    assert server.get().body == b"%d" % second
    server.popen.send_signal(signal.SIGTTIN)
    third = max(server.wait_for_workers(2))
    server.popen.send_signal(signal.SIGTTOU)
    server.wait_for_workers(1)  # the oldest leaves
    os.kill(third, signal.SIGINT)
    server.wait_for_report("worker_int")
    (fourth,) = server.wait_for_workers(1, without=[third])
    assert server.stop() == 0
    started = ["post_fork", "post_worker_init", "lifespan.startup"]
    stopped = ["lifespan.shutdown", "worker_exit"]
    assert server.reported(first) == server.reported(second) == server.reported(fourth) == [*started, *stopped]
    assert server.reported(third) == [*started, "worker_int", *stopped]
    own = server.reported(server.pid)
    assert own[:4] == ["nworkers_changed None 1", "on_starting", "when_ready", "pre_fork"]
    assert own[4:7] == ["nworkers_changed 1 1", "on_reload", "pre_fork"]
    assert own[-1] == "on_exit"
    assert own.count("child_exit") == own.count("pre_fork") == 4


def test_a_blocked_worker_is_killed(gunicorn):
    """By SIGABRT first: the hook is called, and the log shows what blocked it."""
    server = gunicorn("-c", "gunicorn_hooks.py", "--timeout", "2")
    before = server.wait_for_workers(1)
    with Raw(server) as client:
        client.get("/block")
        server.wait_for_log("WORKER TIMEOUT")
        (after,) = server.wait_for_workers(1, without=before)
    assert server.reported(before[0])[3:5] == ["blocked", "worker_abort"]
    assert "time.sleep(60)" in server.logs()
    assert server.get().body == b"%d" % after


def test_a_stop_finishes_requests_and_may_be_repeated(gunicorn):
    """Arbiters before 26 send a leaving worker one SIGTERM after another."""
    server = gunicorn("-w", "1")
    (worker,) = server.wait_for_workers(1)
    with Raw(server) as client:
        client.get("/sleep")
        server.wait_for_report("asleep")
        for _ in range(3):
            os.kill(worker, signal.SIGTERM)
            server.wait_for_log("stopping: SIGTERM")
        answer = client.read_response()
    assert answer.body == b"%d" % worker
    assert answer.get("connection") == "close"
    server.wait_for_workers(1, without=[worker])
    assert server.reported(worker)[-1] == "lifespan.shutdown"
    assert "cancelled" not in server.logs()


def test_a_signal_right_after_the_fork_is_not_lost(gunicorn, tmp_path):
    """There the arbiter's handler is still set, and the arbiter would wait for the worker until graceful_timeout."""
    conf = tmp_path / "conf.py"
    conf.write_text(
        "import os, signal\n"
        "def post_fork(server, worker):\n"
        "    if worker.age > 1:\n"
        "        os.kill(os.getpid(), signal.SIGTERM if worker.age == 2 else signal.SIGINT)\n"
    )
    server = gunicorn("-c", conf, "-w", "1")
    server.popen.send_signal(signal.SIGTTIN)
    wait_until(lambda: server.logs().count("Worker exiting") >= 2, server.logs)
    assert server.logs().count("listening on http") == 1
    assert "stopping" not in server.logs()


def test_a_quick_stop_cancels_requests(gunicorn):
    server = gunicorn("-w", "1")
    with Raw(server) as client:
        client.get("/forever")
        server.wait_for_report("asleep")
        assert server.stop(signal.SIGQUIT) == 0
    assert "SIGQUIT: requests in progress are cancelled: 1" in server.logs()
    assert server.reported()[-1] == "lifespan.shutdown"


def test_graceful_timeout_ends_what_does_not_end(gunicorn):
    """Early enough for the app's shutdown, before the arbiter kills the worker."""
    server = gunicorn("-w", "1", "--graceful-timeout", "2")
    with Raw(server) as client:
        client.get("/forever")
        server.wait_for_report("asleep")
        assert server.stop() == 0
    assert "graceful_timeout of 2 s is nearly over: requests in progress are cancelled: 1" in server.logs()
    assert server.reported()[-1] == "lifespan.shutdown"


def test_workers_end_with_their_arbiter(gunicorn):
    server = gunicorn("-w", "2", "--timeout", "0")
    workers = server.wait_for_workers(2)
    assert HEAP not in maps(server.pid)  # nothing is preloaded
    server.popen.kill()
    server.popen.wait()
    wait_for_end(workers)
    assert server.logs().count("stopping: the arbiter has gone") == 2


# ---- requests ----


SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/a b",
    "raw_path": b"/a%20b",
    "query_string": b"c=d",
    "headers": [(b"user-agent", b"test")],
    "client": ("10.0.0.1", 80),
    "scheme": "http",
}


def run(coroutine):
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def nothing(message):
    pass


def recorded(messages, **scope):
    from saltare.compat.gunicorn_app import AccessLog

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    recorder = Recorder()
    run(AccessLog(app, recorder)({**SCOPE, **scope}, None, nothing))
    return recorder.records


START = {"type": "http.response.start", "status": 201, "headers": [(b"Content-Length", b"7")]}


@pytest.mark.parametrize(
    "messages, status, sent",
    [
        ([START, {"type": "http.response.body", "body": b"abc", "more_body": True}] * 2, "201 Created", 6),
        ([START, {"type": "http.response.pathsend", "path": "/x"}], "201 Created", 7),
        ([{**START, "type": "saltare.sendfile", "path": "/x"}], "201 Created", 7),
        ([{"type": "http.response.start", "status": 799}], "799 -", 0),
        ([], "500 Internal Server Error", 0),
        ([{"type": "websocket.accept", "headers": []}], "101 Switching Protocols", 0),
        ([{"type": "websocket.close"}], "403 Forbidden", 0),
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], "101 Switching Protocols", 0),
    ],
)
def test_what_gunicorns_logger_gets(messages, status, sent):
    ((got_status, got_sent, _, uri, environ, lasted),) = recorded(messages)
    assert (got_status, got_sent, uri) == (status, sent, "/a%20b?c=d")
    assert environ["REMOTE_ADDR"] == "10.0.0.1"
    assert environ["HTTP_USER_AGENT"] == "test"
    assert lasted.total_seconds() >= 0


def test_a_lifespan_is_not_logged():
    assert recorded([], type="lifespan") == []
