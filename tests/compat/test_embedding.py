"""`saltare.Server` with a loop of its own, as programs written for uvicorn use it."""

import asyncio
import contextlib
import gc
import socket
import threading

import httpx
import pytest
from embedding import app, config, failing, in_thread, url_of, with_lifespan

import saltare
from harness import HANG, wait_until
from saltare.compat import main as uvicorns
from saltare.errors import ConfigError, StartError

# ---- with a loop of its own ----


@pytest.mark.parametrize("given", ["a Config", "by keyword", "options"])
def test_should_exit_set_by_another_thread_ends_an_idle_server(given):
    makes = {
        "a Config": lambda: saltare.Server(config()),
        "by keyword": lambda: saltare.Server(config=config()),
        "options": lambda: saltare.Server(app, port=0, lifespan="off"),
    }
    server = makes[given]()
    assert not server.should_exit
    with in_thread(server):
        assert httpx.get(url_of(server)).text == "ok"
        assert not server.should_exit
    assert server.should_exit
    assert server.servers[0].sockets == ()


def test_should_exit_set_by_the_app(raw):
    async def last(scope, receive, send):
        server.should_exit = True
        server.should_exit = True  # no second request, which would cancel this one
        await asyncio.sleep(0.01)
        await app(scope, receive, send)

    server = saltare.Server(config(last))
    with in_thread(server) as thread:
        assert httpx.get(url_of(server)).text == "ok"
        thread.join(HANG)
    assert server.graceful


def test_should_exit_set_before_the_start():
    server = saltare.Server(config())
    server.should_exit = True
    server.run()
    server.should_exit = False
    with in_thread(server):
        assert httpx.get(url_of(server)).text == "ok"


@pytest.mark.filterwarnings("error")
def test_run_within_a_running_loop():
    """Also where the program overrides a part; nothing is left that was never awaited."""

    class Custom(saltare.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets=sockets)

    async def main():
        for server in (saltare.Server(config()), Custom(config()), saltare.Server(app, port=0)):
            with pytest.raises(RuntimeError, match=r"a loop runs in this thread already; await server.serve\(\)"):
                server.run()
            assert not server.should_exit

    asyncio.run(main())
    gc.collect()


@pytest.mark.parametrize("options", [{"limit_max_requests": 3}, {"limit_max_requests": 3, "workers": 2}])
def test_uvicorns_run_in_a_thread(free_port, options):
    """Only the main thread can run a master."""
    given = {"port": free_port, "lifespan": "off", "log_config": None, **options}
    thread = threading.Thread(target=uvicorns.run, args=(f"{__name__}:app",), kwargs=given)
    thread.start()
    answers = []

    def answered():
        with contextlib.suppress(httpx.TransportError):
            answers.append(httpx.get(f"http://127.0.0.1:{free_port}/").text)
        return len(answers) == 3 or not thread.is_alive()

    wait_until(answered)
    thread.join(HANG)
    assert answers == ["ok"] * 3 and not thread.is_alive()


def test_force_exit_cancels_what_is_in_progress(raw):
    inside, events = threading.Event(), []

    async def endless(scope, receive, send):
        inside.set()
        try:
            await asyncio.sleep(HANG)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    server = saltare.Server(config(endless))
    with in_thread(server):
        client = raw(server.servers[0].sockets[0].getsockname()[1]).get()
        assert inside.wait(HANG)
        server.should_exit = True
        assert not server.force_exit
        server.force_exit = True
    assert events == ["cancelled"]
    assert not server.graceful
    client.read_all()


def test_started_stays_true_with_a_config_only():
    for server, after in ((saltare.Server(config()), True), (saltare.Server(app, port=0, lifespan="off"), False)):
        assert not server.started
        with in_thread(server):
            assert server.started
        assert server.started is after


def test_the_same_server_again():
    server = saltare.Server(config())
    for _ in range(3):
        with in_thread(server):
            assert httpx.get(url_of(server)).text == "ok"


def test_sockets_of_the_program():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))  # and does not listen yet
    port = sock.getsockname()[1]
    server = saltare.Server(config())
    with in_thread(server, sockets=[sock]):
        assert server.url == f"http://127.0.0.1:{port}"
        assert httpx.get(f"http://127.0.0.1:{port}").text == "ok"
    assert sock.fileno() == -1  # closed, as by uvicorn


def test_the_descriptor_of_a_socket_that_does_not_listen_yet():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = saltare.Server(config(fd=sock.fileno()))
        with in_thread(server):
            assert httpx.get(url_of(server)).text == "ok"
        assert sock.fileno() >= 0


def test_a_socket_that_cannot_listen():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(StartError, match="cannot listen"):
        saltare.Server(app, lifespan="off").run(sockets=[sock])


def test_sockets_and_workers():
    with socket.socket() as sock, pytest.raises(ConfigError, match="workers"):
        saltare.Server(app, workers=2).run(sockets=[sock])


def test_what_programs_look_at(raw):
    inside, go_on = threading.Event(), threading.Event()

    async def waiting(scope, receive, send):
        if scope["type"] == "lifespan":
            await with_lifespan(scope, receive, send)
            return
        inside.set()
        await asyncio.to_thread(go_on.wait, HANG)
        await app(scope, receive, send)

    server = saltare.Server(config(waiting, lifespan="on"))
    assert server.server_state.tasks == set()
    with in_thread(server):
        assert server.lifespan.state == {"name": "kept"}
        assert not server.lifespan.should_exit
        client = raw(server.servers[0].sockets[0].getsockname()[1]).get()
        assert inside.wait(HANG)
        wait_until(lambda: len(server.server_state.tasks) == 1)
        assert len(server.server_state.connections) == 1
        assert server.server_state.total_requests == 1
        go_on.set()
        client.read_response()
    assert server.server_state.tasks == set()
    assert not server.server_state.connections


def test_limit_max_requests_ends_the_server():
    server = saltare.Server(config(limit_max_requests=3))
    with in_thread(server) as thread:
        for _ in range(3):
            assert httpx.get(url_of(server)).text == "ok"
        thread.join(HANG)
        assert not thread.is_alive()
    assert server.server_state.total_requests == 3


def test_callback_notify():
    calls = threading.Semaphore(0)

    async def notify():
        calls.release()

    server = saltare.Server(config(callback_notify=notify, timeout_notify=0.001))
    with in_thread(server):
        for _ in range(3):
            assert calls.acquire(timeout=HANG)


# ---- errors ----


def fails(start):
    with pytest.raises(SystemExit) as ended:
        start()
    assert ended.value.code == 3


def test_a_failed_start_up():
    server = saltare.Server(config(failing, lifespan="on"))
    fails(server.run)
    fails(lambda: asyncio.run(server.serve()))
    assert not server.started
    assert server.lifespan.should_exit
    with pytest.raises(RuntimeError, match="no database"):  # an AppError
        saltare.Server(failing, port=0).run()


def test_a_failed_shutdown():
    async def failing_at_the_end(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "no database"})

    for application, failed in ((failing_at_the_end, True), (with_lifespan, False)):
        server = saltare.Server(config(application, lifespan="on"))
        with in_thread(server):
            assert not server.lifespan.shutdown_failed
        assert server.lifespan.shutdown_failed == failed


def test_a_port_in_use(free_port):
    with socket.create_server(("127.0.0.1", free_port)):
        fails(saltare.Server(config(port=free_port)).run)
        with pytest.raises(StartError):
            saltare.Server(app, port=free_port, lifespan="off").run()


def test_an_app_that_does_not_exist():
    fails(saltare.Server(config("no.such:app")).run)


def test_options_beside_a_config():
    with pytest.raises(ConfigError, match="port: got beside a Config"):
        saltare.Server(config(), port=0)


def test_config_errors_are_what_callers_catch():
    for kind in (ValueError, RuntimeError):
        with pytest.raises(kind, match="app: none given"):
            saltare.Server()
