"""`gunicorn -k saltare.workers.SaltareWorker`: gunicorn's arbiter, sockets, hooks and signals, and our server."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from family import Load, alive, children, killed_at_the_end, maps, wait_for_end
from harness import HANG, Process, wait_until
from rawsocket import Raw
from saltare.options.techniques import untested

config = pytest.importorskip("gunicorn.config")

HERE = Path(__file__).parent
HEAP = "/memfd:saltare-heap"
# Not `python -m gunicorn`: at SIGUSR2 the arbiter executes sys.argv, and then the package's folder would be on sys.path.
GUNICORN = [sys.executable, str(Path(sys.executable).with_name("gunicorn")), "--no-control-socket"]


class Arbiter(Process):
    reports = None  # the file of gunicorn_apps.report

    def workers(self):
        return [pid for pid in children(self.pid) if alive(pid)]

    def wait_for_workers(self, count, without=()):
        """The workers, once there are that many which serve, and none of `without` is left."""
        seen = []

        def there():
            seen[:] = [pid for pid in self.workers() if f"(pid {pid}, plain core)" in self.logs()]
            return len(seen) == count == len(self.workers()) and not set(without) & set(seen)

        wait_until(there, lambda: f"serving: {seen}, not {count} without {without}\n{self.logs()}")
        return seen

    def reload(self):
        before = self.workers()
        self.popen.send_signal(signal.SIGHUP)
        return self.wait_for_workers(len(before), without=before)

    def reported(self, pid=None):
        lines = self.reports.read_text().splitlines() if self.reports.exists() else []
        pairs = [line.split(" ", 1) for line in lines]
        return [text for number, text in pairs if pid in (None, int(number))]

    def wait_for_report(self, text):
        wait_until(lambda: text in self.reported(), lambda: f"no {text}: {self.reported()}\n{self.logs()}")

    def get(self, target="/", *fields):
        with Raw(self) as client:
            return client.get(target, *fields).read_response()


@pytest.fixture
def gunicorn(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(*args, app="gunicorn_apps:app", worker="saltare.workers.SaltareWorker", env=None, **popen):
            Arbiter.reports = tmp_path / "reports"
            binds = [] if {"-b", "--bind"} & set(args) else ["-b", "127.0.0.1:0"]
            command = [*GUNICORN, "-k", worker, *binds, *map(str, args), app]
            env = {**os.environ, "REPORTS": str(Arbiter.reports), **(env or {})}
            server = Arbiter(command, tmp_path / "log", **{"cwd": HERE, "env": env, **popen})
            stack.callback(server.end)
            return server

        yield start


def ended(*args, app="gunicorn_apps:app", cwd=HERE):
    """A gunicorn that does not come to serve: its exit code and output."""
    command = [*GUNICORN, "-k", "saltare.workers.SaltareWorker", "-b", "127.0.0.1:0", *map(str, args), app]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


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


# ---- no request is lost ----


def test_reloads_under_load_lose_no_request(gunicorn):
    rolls = int(os.environ.get("TEST_ROLLS", 2))  # 10 for a longer run
    server = gunicorn("-w", "2", "--max-requests", "500", "--max-requests-jitter", "200")
    with Load(server, clients=4) as kept, Load(server, clients=2, keep=False) as closing:
        for _ in range(rolls):
            before = server.workers()
            server.popen.send_signal(signal.SIGHUP)
            wait_until(lambda before=before: len(server.workers()) == 2 and not set(before) & set(server.workers()))
            kept.wait_for_more(300)
            closing.wait_for_more(50)
        server.wait_for_log("requests, the arbiter replaces this worker")
        kept.wait_for_more(100)
    assert kept.failures == closing.failures == []


def test_a_new_arbiter_takes_over_under_load(gunicorn, tmp_path):
    """SIGUSR2: two arbiters serve, then the old one stops."""
    pids = tmp_path / "pid", tmp_path / "pid.2"
    server = gunicorn("-w", "1", "-c", "gunicorn_hooks.py", "--pid", pids[0])
    old = server.wait_for_workers(1)
    with Load(server, clients=2) as kept, Load(server, clients=2, keep=False) as closing:
        server.popen.send_signal(signal.SIGUSR2)
        wait_until(pids[1].exists)
        with killed_at_the_end(int(pids[1].read_text())) as arbiter:
            wait_until(lambda: len(children(arbiter)) == 1)
            new = children(arbiter)
            server.wait_for_log(f"(pid {new[0]}, plain core)")
            assert old == [pid for pid in server.workers() if pid != arbiter]
            server.popen.send_signal(signal.SIGTERM)
            assert server.wait() == 0
            kept.wait_for_answers_of(new)
            closing.wait_for_answers_of(new)
            assert "_core" not in maps(arbiter)
            assert "pre_exec" in server.reported(arbiter)
            kept.__exit__()
            closing.__exit__()
            os.kill(arbiter, signal.SIGTERM)
            wait_for_end([arbiter, *new])
    assert kept.failures == closing.failures == []


def test_the_workers_of_the_old_arbiter_leave_and_come_back_under_load(gunicorn, tmp_path):
    """SIGUSR2, then SIGWINCH, which arbiters of daemons obey, and SIGHUP because the new arbiter is not wanted."""
    conf = tmp_path / "conf.py"
    conf.write_text("def when_ready(server): server.cfg.set('daemon', True)\n")
    pids = tmp_path / "pid", tmp_path / "pid.2"
    server = gunicorn("-w", "2", "-c", conf, "--pid", pids[0])
    old = server.wait_for_workers(2)
    with Load(server, clients=2) as kept, Load(server, clients=2, keep=False) as closing:
        server.popen.send_signal(signal.SIGUSR2)
        wait_until(pids[1].exists)
        with killed_at_the_end(int(pids[1].read_text())) as arbiter:
            wait_until(lambda: len(children(arbiter)) == 2)
            new = children(arbiter)
            for pid in new:
                server.wait_for_log(f"(pid {pid}, plain core)")
            server.popen.send_signal(signal.SIGWINCH)
            wait_for_end(old)
            assert server.workers() == [arbiter]
            kept.wait_for_answers_of(new)
            closing.wait_for_answers_of(new)
            server.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 3)
            back = [pid for pid in server.workers() if pid != arbiter]
            for pid in back:
                server.wait_for_log(f"(pid {pid}, plain core)")
            os.kill(arbiter, signal.SIGTERM)
            wait_for_end(new)
            kept.wait_for_answers_of(back)
            closing.wait_for_answers_of(back)
    assert kept.failures == closing.failures == []


# ---- reload ----


def test_reload_serves_the_changed_file(gunicorn, tmp_path):
    """Also after a syntax error, which gunicorn shows as a page."""
    module = tmp_path / "edited.py"
    good = "from gunicorn_apps import app as inner\nasync def app(*args):\n    await inner(*args)\n"
    module.write_text(good)
    server = gunicorn("--reload", "--pythonpath", tmp_path, app="edited:app")
    (first,) = server.wait_for_workers(1)
    module.write_text("def app(:\n")
    (second,) = server.wait_for_workers(1, without=[first])
    answer = server.get()
    assert answer.status == 500
    assert b"SyntaxError" in answer.body
    module.write_text(good + "# whole again\n")
    (third,) = server.wait_for_workers(1, without=[second])
    assert server.get().body == b"%d" % third


# ---- settings ----


@pytest.mark.parametrize("allowed, client", [("127.0.0.1", b"192.0.2.1"), ("10.0.0.0/8", None)])
def test_the_proxy_protocol(gunicorn, allowed, client):
    server = gunicorn("--proxy-protocol", "v1", "--proxy-allow-from", allowed)
    raw = Raw(server).send(b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n")
    try:
        if client is not None:
            assert client in raw.get("/scope").read_response().body
        else:
            with pytest.raises((EOFError, ConnectionError)):
                raw.get("/scope").read_response()
    finally:
        raw.close()


def test_logs_go_to_gunicorns_loggers(gunicorn, tmp_path):
    """SIGUSR1 opens the files anew."""
    access, errors = tmp_path / "access", tmp_path / "errors"
    shape = "%(h)s %(l)s %(u)s %(r)s %(s)s %(b)s %(m)s %(U)s?%(q)s %(H)s %({x-sent}i)s %({x-from}o)s %(a)s"
    with open(tmp_path / "out", "w") as out:
        server = gunicorn("--access-logfile", access, "--access-logformat", shape, stdout=out)
        answer = server.get("/a%20b?c=d", "X-Sent: yes", "User-Agent: test", "X-Forwarded-For: 10.1.2.3")
        line = f"10.1.2.3 - - GET /a%20b?c=d HTTP/1.1 200 {len(answer.body)} GET /a b?c=d HTTP/1.1 yes app test\n"
        wait_until(lambda: access.read_text() == line, access.read_text)
        access.rename(errors)
        server.popen.send_signal(signal.SIGUSR1)
        wait_until(access.exists)
        server.wait_for_log("Handling signal: usr1")

        def anew():
            server.get("/second")
            return "/second" in access.read_text()

        wait_until(anew)
        assert server.stop() == 0
    assert " [INFO] saltare 0.1.0 listening on http://127.0.0.1:" in server.logs()
    assert "] [INFO] stopping: SIGTERM" in server.logs()


def test_an_access_log_of_saltare_is_opened_again_at_sigusr1(gunicorn, tmp_path):
    path, old = tmp_path / "access", tmp_path / "old"
    server = gunicorn("-w", "2", env={"SALTARE_ACCESS_LOG_PATH": str(path), "SALTARE_ACCESS_LOG_FORMAT": "{path}"})
    server.get("/first")
    wait_until(lambda: path.read_text() == "/first\n", path.read_text)
    path.rename(old)
    server.popen.send_signal(signal.SIGUSR1)
    wait_until(path.exists)
    server.wait_for_log("Handling signal: usr1")

    def anew():
        server.get("/second")
        return "/second" in path.read_text()

    wait_until(anew)
    assert server.stop() == 0


def test_a_subclass_with_config_kwargs(gunicorn):
    server = gunicorn("--preload", worker="gunicorn_worker.Own", env={"FORWARDED_ALLOW_IPS": "*"})
    answer = server.get("/", "X-Forwarded-For: 10.1.2.3")
    assert answer.get("x-own") == "yes"
    assert answer.get("connection") == "close"  # timeout_keep_alive=0
    assert server.reported() == []  # lifespan="off"
    server.wait_for_log("stopping: limit_worker_lifetime is over, the arbiter replaces this worker")
    server.wait_for_workers(1, without=[int(answer.body)])


def test_unix_sockets_and_several_addresses(gunicorn, tmp_path):
    """A proxy on a Unix socket is believed, as in gunicorn, and one on an address that is not allowed is not."""
    path = tmp_path / "socket"
    server = gunicorn(
        *("-b", "127.0.0.1:0", "-b", f"unix:{path}", "--forwarded-allow-ips", "10.0.0.1", "--umask", "007"),
        worker="saltare.workers.UvicornH11Worker",
        app="gunicorn_apps:factory()",
    )
    fields = "X-Forwarded-For: 10.1.2.3", "X-Forwarded-Ssl: on"
    assert server.get("/scope", *fields).body == b"('127.0.0.1', 'http', '')"
    server.url = f"unix:{path}"
    assert server.get("/scope", *fields).body == b"('10.1.2.3', 'https', '')"
    assert server.get("/scope", "X-Forwarded-Protocol: ssl").body == b"(None, 'https', '')"
    assert server.get("/scope", "X-Forwarded-Protocol: tcp").body == b"(None, 'http', '')"
    assert path.stat().st_mode & 0o777 == 0o770
    assert server.stop() == 0
    assert not path.exists()


REFUSED = ("--keyfile", "gunicorn_apps.py", "--protocol", "uwsgi", "-w", "3")


@pytest.mark.parametrize(
    "args, app, code, texts",
    [
        ((), "gunicorn_apps:wsgi", 3, ["as WSGI apps do", "a2wsgi.WSGIMiddleware(app)"]),
        ((), "gunicorn_apps:asgi2", 3, ["as ASGI 2 apps do", "guarantee_single_callable"]),
        ((), "gunicorn_apps:fails", 3, ["the app's start-up failed: no database"]),
        (REFUSED, "gunicorn_apps:app", 1, ["keyfile: given without a certificate; ", "protocol: got 'uwsgi'; "]),
    ],
    ids=["wsgi", "asgi2", "start-up", "settings"],
)
def test_what_cannot_be_served_is_refused_with_advice(args, app, code, texts):
    returned, output = ended(*args, app=app)
    assert returned == code
    assert [text for text in texts if text not in output] == [], output
    assert "Traceback" not in output
    assert output.count(texts[0]) == 1


# ---- settings as options ----


class Recorder:
    """A logger of gunicorn that keeps what it gets."""

    def __init__(self):
        self.error_log, self.access_log = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
        self.records = []

    def access(self, resp, req, environ, request_time):
        self.records.append((resp.status, resp.sent, dict(resp.headers), req.uri, environ, request_time))


@pytest.fixture
def made():
    """A worker, as the arbiter makes it."""
    from saltare.workers import SaltareWorker

    workers = []

    def make(kwargs=None, **settings):
        cfg = config.Config()
        for name, value in settings.items():
            cfg.set(name, value)
        kind = SaltareWorker if kwargs is None else type("Own", (SaltareWorker,), {"CONFIG_KWARGS": kwargs})
        workers.append(kind(1, os.getpid(), [], None, 15, cfg, Recorder()))
        return workers[-1]

    yield make
    for one in workers:
        one.tmp.close()


@pytest.mark.parametrize(
    "settings, kwargs, options",
    [
        ({}, None, {"max_request_line": 16384, "max_request_fields": 256, "max_concurrent_connections": 0}),
        ({}, None, {"keep_alive_timeout": 2.0, "shutdown_timeout": 29.0, "listen_backlog": 2048, "loop": "auto"}),
        ({"keepalive": 0}, None, {"max_keepalive_requests": 1}),
        ({"keepalive": 65, "graceful_timeout": 5}, None, {"keep_alive_timeout": 65.0, "shutdown_timeout": 4.0}),
        ({"graceful_timeout": 0}, None, {"shutdown_timeout": 0.001}),
        ({"reload": True}, None, {"shutdown_timeout": 2.0, "reload": False}),
        ({"limit_request_line": 1000, "limit_request_fields": 50}, None, {"max_request_line": 1000}),
        ({"limit_request_line": 0, "limit_request_fields": 50}, None, {"max_request_line": 65536}),
        ({"limit_request_fields": 50, "limit_request_field_size": 100000}, None, {"max_request_head": 200000}),
        ({"worker_connections": 10, "backlog": 7}, None, {"max_concurrent_connections": 10, "listen_backlog": 7}),
        ({"root_path": "/a", "asgi_lifespan": "off"}, None, {"root_path": "/a", "lifespan": "off"}),
        ({"asgi_loop": "asyncio"}, None, {"loop": "asyncio"}),
        # CONFIG_KWARGS come first, under either name.
        ({"keepalive": 65}, {"timeout_keep_alive": 7}, {"keep_alive_timeout": 7.0}),
        ({"keepalive": 65}, {"keep_alive_timeout": 7}, {"keep_alive_timeout": 7.0}),
        ({"keepalive": 65}, {"timeout_keep_alive": 0}, {"max_keepalive_requests": 1}),
        ({"worker_connections": 9}, {"max_concurrent_connections": 3}, {"max_concurrent_connections": 3}),
        ({"asgi_loop": "asyncio"}, {"loop": "uvloop", "http": "httptools"}, {"loop": "uvloop"}),
    ],
)
def test_settings_of_gunicorn_are_options(made, settings, kwargs, options):
    read = made(kwargs, **settings).config.options()
    assert {name: getattr(read, name) for name in options} == options


def test_what_is_not_accepted_halts_the_arbiter(made):
    from gunicorn.errors import HaltServer

    with pytest.raises(HaltServer) as caught:
        made({"ws": "none", "workres": 3})
    assert caught.value.exit_status == 1
    assert "ws: got 'none'" in caught.value.reason
    assert "workres: unknown option, got 3; did you mean workers?" in caught.value.reason


def test_ends_of_workers_free_their_slots(made):
    first = made()
    second = made()
    assert first.slot != second.slot
    first.tmp.close()  # as the arbiter does
    assert made().slot == first.slot
    assert made(reuse_port=True).slot == 0  # its sockets are its own, so connections cannot be left to others


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
