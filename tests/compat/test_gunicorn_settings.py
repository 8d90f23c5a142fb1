"""gunicorn's settings under our worker."""

import os
import signal

import pytest

from arbiters import Recorder, ended
from harness import wait_until
from rawsocket import Raw

config = pytest.importorskip("gunicorn.config")


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
