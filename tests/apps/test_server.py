"""The server as an object: in threads, several at a time, one after another, within a running loop."""

import asyncio
import contextlib
import socket
import threading

import aiohttp
import httpx
import pytest

import saltare
from app_asgi import answer, hello, lifespan_with
from harness import wait_until
from saltare.errors import StartError


async def started(server):
    while not server.started:
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def serving(app, **options):
    """`serve()` as a task of this loop."""
    server = saltare.Server(app, port=0, **options)
    task = asyncio.create_task(server.serve())
    await asyncio.wait([task, asyncio.create_task(started(server))], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield server
    finally:
        server.shutdown()
        await asyncio.wait_for(task, 20)


async def fetch(session, url):
    async with session.get(url) as reply:
        return await reply.text()


def run_on_uvloop(main):
    return pytest.importorskip("uvloop", reason="uvloop is not installed for this Python").run(main)


on_each_loop = pytest.mark.parametrize("run", [asyncio.run, run_on_uvloop], ids=["asyncio", "uvloop"])


def refuses(url):
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex((httpx.URL(url).host, httpx.URL(url).port)) != 0


# --- within a running loop


@on_each_loop
def test_client_and_server_in_one_loop(run):
    async def main():
        async with serving(hello) as server, aiohttp.ClientSession() as session:
            assert server.started
            assert await asyncio.gather(*(fetch(session, server.url) for _ in range(100))) == ["Hello, world!"] * 100
            url = server.url
        assert not server.started
        assert refuses(url)

    run(main())


@on_each_loop
def test_two_guests_of_one_loop(run):
    def named(name):
        async def app(scope, receive, send):
            await asyncio.sleep(0.001)
            await answer(send, name)

        return app

    async def main():
        async with (
            serving(named(b"one"), lifespan="off") as one,
            serving(named(b"two"), lifespan="off") as two,
            aiohttp.ClientSession() as session,
        ):
            replies = await asyncio.gather(*(fetch(session, server.url) for server in (one, two) * 20))
        assert replies == ["one", "two"] * 20

    run(main())


@on_each_loop
def test_the_app_runs_in_the_callers_loop(run):
    async def main():
        loop, mailbox = asyncio.get_running_loop(), asyncio.Queue()

        async def app(scope, receive, send):
            assert asyncio.get_running_loop() is loop
            await mailbox.put(scope["path"])
            await answer(send)

        async with serving(app, lifespan="off") as server, aiohttp.ClientSession() as session:
            await fetch(session, server.url + "/a")
            assert await mailbox.get() == "/a"

    run(main())


@on_each_loop
def test_cancelling_serve_frees_the_port(run):
    async def main():
        server = saltare.Server(hello, port=0)
        task = asyncio.create_task(server.serve())
        await started(server)
        url = server.url
        assert not refuses(url)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert refuses(url)

    run(main())


@on_each_loop
def test_a_loop_that_ends_takes_its_guest_along(run):
    async def main():
        server = saltare.Server(hello, port=0)
        task = asyncio.create_task(server.serve())
        await started(server)
        return server.url, task

    url, task = run(main())
    assert task.cancelled()
    assert refuses(url)


@on_each_loop
def test_shutdown_from_another_thread_wakes_the_loop(run):
    async def main():
        server = saltare.Server(hello, port=0)
        task = asyncio.create_task(server.serve())
        await started(server)
        threading.Timer(0.05, server.shutdown).start()
        await asyncio.wait_for(task, 20)

    run(main())


def test_serve_gives_the_callers_loop_back_as_it_was():
    async def main():
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        async with serving(hello):
            pass
        assert asyncio.get_running_loop() is loop
        assert loop.get_exception_handler() is handler
        assert await asyncio.to_thread(lambda: 7) == 7  # the server did not shut down the loop's executor
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


# --- threads


def test_an_error_in_the_block_ends_the_server():
    with pytest.raises(ZeroDivisionError), saltare.running(hello, port=0) as server:
        url = server.url
        assert httpx.get(url).status_code == 200
        raise ZeroDivisionError
    assert refuses(url)


def test_several_servers_side_by_side(serve_on):
    servers = [serve_on(lifespan_with({"name": b"%d" % n}, reply_with_name)) for n in range(4)]
    for _ in range(5):
        assert [httpx.get(server.url).text for server in servers] == ["0", "1", "2", "3"]
    servers[1].stop()
    assert refuses(servers[1].url)
    assert [httpx.get(server.url).text for server in servers[2:]] == ["2", "3"]


async def reply_with_name(scope, receive, send):
    await answer(send, scope["state"]["name"])


def test_one_after_another(serve_on):
    for _ in range(20):
        with serve_on(hello) as server:
            assert httpx.get(server.url).text == "Hello, world!"
        assert refuses(server.url)


def test_the_same_server_again():
    server = saltare.Server(hello, port=0)
    for _ in range(3):
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda server=server: server.started)
        assert httpx.get(server.url).text == "Hello, world!"
        server.shutdown()
        thread.join(20)
        assert not thread.is_alive()


def test_a_server_calls_another(serve_on):
    """A gateway: the app of one server is a client of the other, in the same process."""
    inner = serve_on(hello)

    async def gateway(scope, receive, send):
        async with httpx.AsyncClient() as client:
            reply = await client.get(inner.url)
        await answer(send, reply.content.upper())

    outer = serve_on(gateway, lifespan="off")
    assert httpx.get(outer.url).text == "HELLO, WORLD!"


def test_shutdown_finishes_what_is_in_progress(serve_on, raw):
    inside, go_on = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        inside.set()
        await asyncio.to_thread(go_on.wait, 20)
        await answer(send, b"finished")

    server = serve_on(app, lifespan="off")
    client = raw(server).get()
    assert inside.wait(20)
    server.server.shutdown()
    wait_until(lambda: refuses(server.url))
    go_on.set()
    reply = client.read_response()
    assert (reply.body, reply.get("connection")) == (b"finished", "close")
    assert client.read_all() == b""


def test_shutdown_closes_idle_connections(serve_on, raw):
    server = serve_on(hello)
    client = raw(server)
    assert client.get().read_response().status == 200
    server.stop()
    assert client.read_all() == b""


def test_a_request_that_outlasts_shutdown_timeout_is_cancelled(serve_on, raw):
    inside, events = threading.Event(), []

    async def app(scope, receive, send):
        inside.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    server = serve_on(app, lifespan="off", shutdown_timeout=0.1)
    client = raw(server).get()
    assert inside.wait(20)
    server.stop()
    assert events == ["cancelled"]
    client.read_all()


def test_a_port_in_use(serve_on):
    server = serve_on(hello)
    with pytest.raises(StartError, match=str(server.port)):
        serve_on(hello, port=server.port)
    assert httpx.get(server.url).status_code == 200


def test_an_app_by_name(serve_on):
    server = serve_on("app_asgi:hello")
    assert httpx.get(server.url).text == "Hello, world!"
