"""Apps that hold pools of asyncpg and redis-py, with PostgreSQL and Redis servers started here."""

import asyncio
import contextlib
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

import services
from harness import wait_until

asyncpg = pytest.importorskip("asyncpg", reason="asyncpg is not installed for this Python")
redis = pytest.importorskip("redis.asyncio", reason="redis-py is not installed for this Python")


@pytest.fixture(scope="module")
def postgresql():
    with services.postgresql() as port:
        yield port


@pytest.fixture(scope="module")
def redis_server():
    with services.redis() as port:
        yield port


# --- asyncpg


async def add(request):
    names = await request.json()
    async with request.state.pool.acquire() as connection, connection.transaction():
        await connection.executemany("INSERT INTO items (name) VALUES ($1)", [(name,) for name in names])
        return JSONResponse(await connection.fetchval("SELECT count(*) FROM items"))


async def roll_back(request):
    try:
        async with request.state.pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO items (name) VALUES ('gone')")
            raise ValueError
    except ValueError:
        found = await request.state.pool.fetch("SELECT name FROM items WHERE name = 'gone'")
    return JSONResponse([dict(row) for row in found])


async def slow_query(request):
    """Twenty requests at once share five connections."""
    value = await request.state.pool.fetchval("SELECT $1::int FROM pg_sleep(0.01)", int(request.query_params["n"]))
    return JSONResponse(value)


async def cancelled_query(request):
    try:
        await request.state.pool.fetchval("SELECT pg_sleep(60)", timeout=0.02)
    except asyncio.TimeoutError:
        return JSONResponse(await request.state.pool.fetchval("SELECT 'still usable'"))


async def export(request):
    async def rows():
        async with request.state.pool.acquire() as connection, connection.transaction():
            async for row in connection.cursor("SELECT n FROM generate_series(1, 20000) AS n", prefetch=500):
                yield f"{row['n']}\n"

    return StreamingResponse(rows())


async def notifications(request):
    """Server-sent events from LISTEN; the first event tells the client that the app listens."""

    async def events():
        messages = asyncio.Queue()

        def heard(connection, pid, channel, text):
            messages.put_nowait(text)

        async with request.state.pool.acquire() as connection:
            await connection.add_listener("news", heard)
            yield "data: listening\n\n"
            for _ in range(3):
                yield f"data: {await messages.get()}\n\n"
            await connection.remove_listener("news", heard)

    return StreamingResponse(events(), media_type="text/event-stream")


async def notify(request):
    await request.state.pool.execute("SELECT pg_notify('news', $1)", request.query_params["text"])
    return JSONResponse("sent")


def database_app(port):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        async with asyncpg.create_pool(dsn, min_size=1, max_size=5) as pool:
            await pool.execute("DROP TABLE IF EXISTS items")
            await pool.execute("CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL)")
            yield {"pool": pool}

    posted = {add, notify}
    handlers = [add, roll_back, slow_query, cancelled_query, export, notifications, notify]
    routes = [Route(f"/{one.__name__}", one, methods=["POST"] if one in posted else ["GET"]) for one in handlers]
    return Starlette(routes=routes, lifespan=lifespan)


@pytest.fixture
def database(serve_on, postgresql):
    with httpx.Client(base_url=serve_on(database_app(postgresql)).url, timeout=25) as client:
        yield client


def test_queries(database):
    assert database.post("/add", json=["a", "ж", "日"]).json() == 3
    assert database.post("/add", json=["d"]).json() == 4
    assert database.get("/roll_back").json() == []


def test_queries_at_once(database):
    with ThreadPoolExecutor(20) as pool:
        values = list(pool.map(lambda n: database.get(f"/slow_query?n={n}").json(), range(60)))
    assert values == list(range(60))


def test_a_cancelled_query_leaves_the_pool_usable(database):
    assert database.get("/cancelled_query").json() == "still usable"


def test_a_cursor_streamed_as_an_answer(database):
    assert database.get("/export").text == "".join(f"{n}\n" for n in range(1, 20001))


def test_a_client_that_leaves_a_cursor_gives_its_connection_back(database):
    for _ in range(8):
        with database.stream("GET", "/export") as reply:
            assert next(reply.iter_lines()) == "1"
    # A generator that was left within send() may be in a cycle with its exception, and an idle process collects nothing.
    wait_until(lambda: gc.collect() >= 0 and has_connection(database), lambda: "no connection is free")


def has_connection(database):
    with contextlib.suppress(httpx.ReadTimeout):
        return database.get("/slow_query?n=1", timeout=2).json() == 1


def test_notifications(database):
    with database.stream("GET", "/notifications") as reply:
        lines = (line for line in reply.iter_lines() if line)
        assert next(lines) == "data: listening"
        for text in ("one", "zwei", "три"):
            assert database.post("/notify", params={"text": text}).json() == "sent"
            assert next(lines) == f"data: {text}"


# --- redis-py


async def count(request):
    return JSONResponse(await request.state.redis.incr("counter"))


async def pipeline(request):
    async with request.state.redis.pipeline(transaction=True) as pipe:
        for number in range(500):
            pipe.set(f"key:{number}", "x" * number)
        await pipe.execute()
    values = await request.state.redis.mget([f"key:{number}" for number in range(500)])
    return JSONResponse(sum(len(value) for value in values))


async def large(request):
    await request.state.redis.set("large", b"x" * 5_000_000)
    return JSONResponse(len(await request.state.redis.get("large")))


async def wait(request):
    _, value = await request.state.redis.blpop("jobs", timeout=20)
    return JSONResponse(value.decode())


async def push(request):
    return JSONResponse(await request.state.redis.rpush("jobs", request.query_params["job"]))


async def subscribe(request):
    async def events():
        async with request.state.redis.pubsub() as subscription:
            await subscription.subscribe("news")
            async for message in subscription.listen():
                yield f"data: {message['type']} {message['data']!r}\n\n"
                if message["data"] == b"end":
                    break

    return StreamingResponse(events(), media_type="text/event-stream")


async def publish(request):
    return JSONResponse(await request.state.redis.publish("news", request.query_params["text"]))


def redis_app(port):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with redis.Redis(host="127.0.0.1", port=port) as client:
            await client.flushall()
            yield {"redis": client}

    handlers = [count, pipeline, large, wait, push, subscribe, publish]
    return Starlette(routes=[Route(f"/{one.__name__}", one) for one in handlers], lifespan=lifespan)


@pytest.fixture
def cache(serve_on, redis_server):
    with httpx.Client(base_url=serve_on(redis_app(redis_server)).url, timeout=25) as client:
        yield client


def test_redis_commands(cache):
    assert [cache.get("/count").json() for _ in range(3)] == [1, 2, 3]
    assert cache.get("/pipeline").json() == sum(range(500))
    assert cache.get("/large").json() == 5_000_000


def test_redis_at_once(cache):
    with ThreadPoolExecutor(20) as pool:
        values = list(pool.map(lambda _: cache.get("/count").json(), range(100)))
    assert sorted(values) == list(range(1, 101))


def test_a_blocking_pop_and_its_push(cache):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: cache.get("/wait").json())
        time.sleep(0.05)
        assert not waiting.done()
        cache.get("/push?job=work")
        assert waiting.result() == "work"


def test_publish_and_subscribe(cache):
    with cache.stream("GET", "/subscribe") as reply:
        lines = (line for line in reply.iter_lines() if line)
        assert next(lines) == "data: subscribe 1"
        for text in ("one", "two", "end"):
            assert cache.get("/publish", params={"text": text}).json() == 1
            assert next(lines) == f"data: message {text.encode()!r}"
