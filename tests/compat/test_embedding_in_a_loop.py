"""`saltare.Server` in a loop of the program, its subclasses, and records of requests."""

import asyncio
import signal
import socket
import threading
import time

import httpx
import pytest
from embedding import app, config, in_thread, started, url_of, with_lifespan

import saltare
from harness import HANG, wait_until

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
