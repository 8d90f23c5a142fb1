"""receive() and send() as asyncio, anyio and asgiref see them, and the task that an app runs in."""

import asyncio
import contextvars
import copy
import functools
import gc
import inspect
import threading

import anyio
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from app_asgi import answer, body, hello, start
from harness import wait_until


@pytest.fixture
def reply_of(serve_on, raw):
    """The body with which an app responds to the third request of a connection."""

    def reply_of(app, **options):
        client = raw(serve_on(app, lifespan="off", **options))
        for _ in range(2):
            assert client.get().read_response().status == 200
        return client.get().read_response().body

    return reply_of


def test_tasks_of_send_and_receive(reply_of):
    async def app(scope, receive, send):
        message = await asyncio.create_task(receive())
        await asyncio.create_task(send(start()))
        await asyncio.ensure_future(send(body(message["type"].encode(), True)))
        await asyncio.gather(send(body(b" a", True)), send(body(b" b", True)))
        await asyncio.wait_for(send(body()), 10)

    assert reply_of(app) == b"http.request a b"


def test_anyio_and_task_groups(reply_of):
    async def app(scope, receive, send):
        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            group.start_soon(send, start())
        with anyio.fail_after(10):
            await send(body(b"anyio", True))
        with anyio.move_on_after(0.005) as patience:
            await receive()
        await send(body(b" moved on" if patience.cancelled_caught else b" stayed"))

    assert reply_of(app) == b"anyio moved on"


def test_from_threads(reply_of):
    async def app(scope, receive, send):
        loop = asyncio.get_running_loop()

        def in_thread():
            asyncio.run_coroutine_threadsafe(send(start()), loop).result(10)
            asyncio.run_coroutine_threadsafe(send(body(b"one ", True)), loop).result(10)

        await asyncio.to_thread(in_thread)
        await anyio.to_thread.run_sync(functools.partial(anyio.from_thread.run, send, body(b"two ", True)))

        async def send_on(message):
            await send(message)

        await sync_to_async(async_to_sync(send_on))(body(b"three"))

    assert reply_of(app) == b"one two three"


def test_what_they_are(serve_on, raw):
    seen = {}

    async def app(scope, receive, send):
        awaitable = receive()
        seen["awaitable"] = inspect.isawaitable(awaitable)
        seen["coroutine"] = asyncio.iscoroutine(awaitable)
        seen["message"] = await awaitable
        seen["sent"] = await send(start())
        seen["scope"] = copy.deepcopy(scope) == scope
        await send(body())

    raw(serve_on(app, lifespan="off")).get().read_response()
    assert seen.pop("message") == {"type": "http.request", "body": b"", "more_body": False}
    assert seen == {"awaitable": True, "coroutine": True, "sent": None, "scope": True}


def test_wrapped_by_middlewares(reply_of):
    def wrapping(app):
        async def wrapper(scope, receive, send):
            @functools.wraps(receive)
            async def wrapped_receive():
                return await receive()

            async def wrapped_send(message):
                message = {**message, "headers": [*message.get("headers", []), (b"x-wrapped", b"1")]}
                await send(message)

            await app(scope, wrapped_receive, wrapped_send)

        return wrapper

    assert reply_of(wrapping(wrapping(hello))) == b"Hello, world!"


def test_receive_by_two_tasks_at_once(serve_on, raw):
    """Each message goes to one receiver, and the end to both."""
    messages, both = [], threading.Event()

    async def app(scope, receive, send):
        async def read():
            messages.append((await receive())["type"])

        await asyncio.gather(read(), read(), read())
        both.set()

    client = raw(serve_on(app, lifespan="off")).get()
    client.close()
    assert both.wait(20)
    assert sorted(messages) == ["http.disconnect", "http.disconnect", "http.request"]


def test_the_task_of_a_request(serve_on, raw):
    tasks = []

    async def app(scope, receive, send):
        task = asyncio.current_task()
        assert task.get_loop() is asyncio.get_running_loop()
        assert not task.done() and repr(task) and task.get_name()
        await asyncio.sleep(0)
        assert asyncio.current_task() is task and task in asyncio.all_tasks()
        task.add_done_callback(tasks.append)
        await answer(send)

    client = raw(serve_on(app, lifespan="off"))
    for _ in range(3):
        assert client.get().read_response().status == 200
    wait_until(lambda: len(tasks) == 3)
    assert len(set(tasks)) == 3
    assert [task.exception() for task in tasks] == [None] * 3


def test_current_task_is_right_before_the_first_wait(serve_on, raw):
    """Structured concurrency, timeouts and cancel scopes all depend on it."""

    async def app(scope, receive, send):
        task = asyncio.current_task()
        async with anyio.create_task_group() as group:
            group.start_soon(asyncio.sleep, 0)
        with anyio.move_on_after(0.001):
            await asyncio.sleep(60)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.001)
        assert asyncio.current_task() is task
        await answer(send, b"right")

    client = raw(serve_on(app, lifespan="off"))
    assert [client.get().read_response().body for _ in range(5)] == [b"right"] * 5


def test_context_variables_of_one_request_never_reach_another(serve_on, raw):
    variable = contextvars.ContextVar("variable", default=b"nothing")

    async def app(scope, receive, send):
        before = variable.get()
        variable.set(scope["path"].encode())
        await asyncio.sleep(0)
        await answer(send, before)
        await asyncio.sleep(0)

    server = serve_on(app, lifespan="off")
    clients = [raw(server) for _ in range(4)]
    for number in range(300):
        for client in clients:
            client.get(f"/{number}")
        assert {client.read_response().body for client in clients} == {b"nothing"}


def test_an_app_that_never_waits(reply_of):
    """Its task is done after its first step, without a turn of the loop."""

    async def app(scope, receive, send):
        for message in (start(), body(b"at once")):
            await send(message)

    assert reply_of(app) == b"at once"


def test_a_task_factory_of_the_app(serve_on, raw):
    made = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await hello(scope, receive, send)

        def factory(loop, coroutine, **options):
            made.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)

        asyncio.get_running_loop().set_task_factory(factory)
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        asyncio.get_running_loop().set_task_factory(None)
        made.clear()
        await send({"type": "lifespan.shutdown.complete"})

    client = raw(serve_on(app))
    assert [client.get().read_response().status for _ in range(3)] == [200] * 3
    assert len(made) >= 3


def test_debug_mode_of_the_loop(serve_on, raw):
    async def app(scope, receive, send):
        asyncio.get_running_loop().set_debug(True)
        await asyncio.sleep(0.001)
        await hello(scope, receive, send)

    client = raw(serve_on(app, lifespan="off"))
    assert [client.get().read_response().status for _ in range(5)] == [200] * 5


def test_garbage_collections_all_the_time(serve_on, raw):
    async def app(scope, receive, send):
        await asyncio.sleep(0)
        await hello(scope, receive, send)

    client = raw(serve_on(app, lifespan="off"))
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        assert [client.get().read_response().status for _ in range(200)] == [200] * 200
    finally:
        gc.set_threshold(*thresholds)


def test_cycles_through_send_are_collected(serve_on, raw):
    async def app(scope, receive, send):
        scope["send"], scope["receive"], scope["self"] = send, receive, scope
        await hello(scope, receive, send)

    client = raw(serve_on(app, lifespan="off"))
    assert [client.get().read_response().status for _ in range(20)] == [200] * 20
