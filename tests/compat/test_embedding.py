"""`saltare.Server` as programs written for uvicorn use it, within one process."""

import asyncio
import contextlib
import gc
import signal
import socket
import threading
import time

import httpx
import pytest

import saltare
from harness import HANG, wait_until
from saltare.compat import main as uvicorns
from saltare.errors import ConfigError, StartError


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def with_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["name"] = "kept"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await app(scope, receive, send)


async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


def config(application=app, **options):
    return saltare.Config(application, **{"port": 0, "log_config": None, "lifespan": "off", **options})


@contextlib.contextmanager
def in_thread(server, **options):
    """`run` in a thread, as programs do it: they poll `started`, and set `should_exit` at the end."""
    thread = threading.Thread(target=server.run, kwargs=options)
    server.started = False  # after a run it stays true
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join(HANG)
        assert not thread.is_alive()


def url_of(server):
    host, port = server.servers[0].sockets[0].getsockname()
    return f"http://{host}:{port}/"


async def started(server):
    while not server.started:
        await asyncio.sleep(0.001)


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


# ---- in a loop of the program ----


def test_gather_and_should_exit():
    async def main():
        server = saltare.Server(config())

        async def other():
            await started(server)
            async with httpx.AsyncClient() as client:
                text = (await client.get(url_of(server))).text
            server.should_exit = True
            return text

        return await asyncio.gather(server.serve(), other())

    assert asyncio.run(main()) == [None, "ok"]


def test_should_exit_costs_no_polling():
    """The loop sleeps until it is set, by whoever does so."""

    async def main():
        server = saltare.Server(config())
        task = asyncio.create_task(server.serve())
        await started(server)
        loop, turns = asyncio.get_running_loop(), []
        loop.call_soon(turns.append, 1)
        assert not [one for one in loop._scheduled if not one.cancelled()]
        threading.Timer(0.05, setattr, (server, "should_exit", True)).start()
        await asyncio.wait_for(task, HANG)

    asyncio.run(main())


def test_create_task_and_cancel():
    async def main():
        server = saltare.Server(config(with_lifespan, lifespan="on"))
        task = asyncio.create_task(server.serve())
        await started(server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.shutdown()  # as vLLM does after the cancel
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))

    asyncio.run(main())


def test_cancelled_by_anyio():
    anyio = pytest.importorskip("anyio")
    ends = []

    async def until_cancelled(scope, receive, send):
        try:
            await with_lifespan(scope, receive, send)
        finally:
            ends.append(scope["type"])

    async def main():
        server = saltare.Server(config(until_cancelled, lifespan="on"))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve)
            await started(server)
            group.cancel_scope.cancel()
        assert ends == ["lifespan"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_cancelled_before_its_first_step():
    async def main():
        server = saltare.Server(config())
        task = asyncio.create_task(server.serve())
        await asyncio.sleep(0)  # it has made the inner task, which has not begun
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.create_task(server.serve())
        await started(server)
        await server.shutdown()
        await task

    asyncio.run(main())


def test_an_awaitable_shutdown():
    async def main():
        server = saltare.Server(config())
        task = asyncio.create_task(server.serve())
        await started(server)
        await server.shutdown()
        assert server._engine is None
        await task

    asyncio.run(main())


def test_awaiting_the_shutdown_of_a_server_in_a_thread():
    async def main():
        server = saltare.Server(config())
        thread = threading.Thread(target=server.run)
        thread.start()
        await started(server)
        await server.shutdown()
        thread.join(HANG)
        assert not thread.is_alive()

    asyncio.run(main())


def test_by_its_parts():
    async def main():
        server = saltare.Server(config(with_lifespan, lifespan="on"))
        await server.startup()
        assert server.started
        async with httpx.AsyncClient() as client:
            assert (await client.get(url_of(server))).text == "ok"
        asyncio.get_running_loop().call_soon(setattr, server, "should_exit", True)
        await server.main_loop()
        await server.shutdown()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_workers_of_a_config_are_for_run():
    """A uvicorn Server is one process, whatever the Config says."""

    async def main():
        server = saltare.Server(config(workers=4, reload=True))
        task = asyncio.create_task(server.serve())
        await started(server)
        server.should_exit = True
        await task

    asyncio.run(main())


# ---- subclasses ----


class Told(saltare.Server):
    """Overrides what programs override."""

    def __init__(self, config):
        super().__init__(config=config)
        self.told = []

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        self.told.append("startup")

    async def main_loop(self):
        self.told.append("main_loop")
        await super().main_loop()

    async def shutdown(self, sockets=None):
        self.told.append("shutdown")
        await super().shutdown(sockets=sockets)


def test_overridden_parts_are_called():
    server = Told(config())
    with in_thread(server):
        wait_until(lambda: "main_loop" in server.told)
        assert httpx.get(url_of(server)).text == "ok"
    assert server.told == ["startup", "main_loop", "shutdown"]


def test_a_main_loop_that_ends_stops_the_server():
    class Short(saltare.Server):
        async def main_loop(self):
            await asyncio.sleep(0.001)

    server = Short(config())
    server.run()
    assert server.started


def test_an_overridden_tick():
    class Ticking(saltare.Server):
        counters = ()

        async def on_tick(self, counter):
            self.counters = (*self.counters, counter)
            return await super().on_tick(counter) or counter == 2

    server = Ticking(config())
    server.run()
    assert server.counters == (0, 1, 2)


def test_a_subclass_with_a_url_and_a_thread_of_its_own():
    """As in mcp-proxy and gradio."""

    class Background(saltare.Server):
        def install_signal_handlers(self):
            pass

        @property
        def url(self):
            return url_of(self)

        def close(self):
            self.should_exit = True
            self.thread.join(HANG)

        def run_in_thread(self):
            self.thread = threading.Thread(target=self.run, daemon=True)
            self.thread.start()
            while not self.started:
                time.sleep(1e-3)

    server = Background(config())
    server.run_in_thread()
    assert httpx.get(server.url).text == "ok"
    server.close()
    assert not server.thread.is_alive()


# ---- requests as records ----


def test_records_of_requests(caplog):
    async def several(scope, receive, send):
        if scope["path"] == "/fails":
            raise ZeroDivisionError
        if scope["path"] == "/nothing":
            return
        await app(scope, receive, send)

    server = saltare.Server(config(several))
    with caplog.at_level("INFO", "uvicorn.access"), in_thread(server):
        for path in ("/a%20b?c=d", "/fails", "/nothing"):
            httpx.get(url_of(server)[:-1] + path)
        wait_until(lambda: len(records(caplog)) == 3)
    first = records(caplog)[0]
    client, *rest = first.args
    assert rest == ["GET", "/a%20b?c=d", "1.1", 200]
    assert client.startswith("127.0.0.1:")
    assert first.getMessage() == f'{client} - "GET /a%20b?c=d HTTP/1.1" 200'
    assert [one.args[4] for one in records(caplog)] == [200, 500, 500]


def records(caplog):
    return [one for one in caplog.records if one.name == "uvicorn.access"]


def test_no_records_without_access_log(caplog):
    with caplog.at_level("INFO"), in_thread(server := saltare.Server(config(access_log=False))):
        httpx.get(url_of(server))
    assert records(caplog) == []
    lines = [one.getMessage() for one in caplog.records if one.name == "uvicorn.error"]
    assert "listening on" in lines[0]
    assert lines[1] == f"Uvicorn running on {server.url} (Press CTRL+C to quit)"  # tools wait for it


def test_the_former_handlers_are_the_programs_again():
    """In the main thread, where pytest runs."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    during = []

    async def main():
        server = saltare.Server(config())
        task = asyncio.create_task(server.serve())
        await started(server)
        during.extend(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))
        server.should_exit = True
        await task
        assert all(one.__self__ is server for one in during)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert len(during) == 2
