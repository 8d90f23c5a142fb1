"""Many clients, large responses and slow readers at once."""

import asyncio
import contextlib
import hashlib
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import pytest

from app_asgi import answer, body_of, echo, hello, stream

MIB = 1 << 20


def gather_requests(url, count, at_once, request):
    async def main():
        connector = aiohttp.TCPConnector(limit=at_once)
        async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(50)) as session:
            return await asyncio.gather(*(request(session, number) for number in range(count)))

    return asyncio.run(main())


def test_five_hundred_at_once(serve_on):
    async def request(session, number):
        async with session.post(f"/{number}", data=b"x" * (number % 5000)) as reply:
            seen = await reply.json()
            return (seen["path"], seen["length"])

    replies = gather_requests(serve_on(echo).url, 3000, 500, request)
    assert replies == [(f"/{number}", number % 5000) for number in range(3000)]


def test_five_hundred_requests_inside_the_app(serve_on):
    """No request gets a response before all of them have arrived."""
    inside = []

    async def app(scope, receive, send):
        inside.append(asyncio.Event())
        if len(inside) == 500:
            for event in inside:
                event.set()
        await inside[-1].wait()
        await answer(send, scope["path"].encode())

    async def request(session, number):
        async with session.get(f"/{number}") as reply:
            return await reply.text()

    replies = gather_requests(serve_on(app, lifespan="off").url, 500, 500, request)
    assert replies == [f"/{number}" for number in range(500)]


def test_connections_that_come_and_go(serve_on, raw):
    server = serve_on(hello, max_concurrent_connections=4000)
    idle = [raw(server) for _ in range(300)]

    async def request(session, number):
        async with session.get("/", headers={"connection": "close"}) as reply:
            return reply.status

    assert gather_requests(server.url, 1000, 50, request) == [200] * 1000
    assert [client.get().read_response().status for client in idle] == [200] * 300


def test_aborted_requests_among_others(serve_on, raw):
    """Clients that disconnect at every stage of a request do not disturb others."""
    server = serve_on(echo)
    partial = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    for end in range(0, len(partial), 7):
        raw(server).send(partial[:end]).close()
    for _ in range(50):
        raw(server).get("/?stream=1000000").close()
    assert httpx.get(server.url).status_code == 200
    server.stop()
    assert "Traceback" not in server.logs()


def test_clients_that_leave_a_pipeline(serve_on, raw):
    async def app(scope, receive, send):
        await asyncio.sleep(0.002)
        await hello(scope, receive, send)

    server = serve_on(app, lifespan="off")
    for number in range(50):
        client = raw(server).send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc" * 200)
        for _ in range(number % 5):
            assert client.read_response().status == 200
        client.close()
    assert httpx.get(server.url).status_code == 200


def test_every_kind_of_client_at_once(serve_on, raw):
    """Random apps with random clients: every client that stayed has the right response."""

    async def app(scope, receive, send):
        dice = random.Random(scope["path"])
        body = b""
        if dice.random() < 0.7:
            body = await body_of(receive)
            if body is None:
                return
        await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01]))
        if dice.random() < 0.05:
            raise RuntimeError("on purpose")
        if dice.random() < 0.3:
            return await stream(dice.choice([0, 10, 100_000, 2_000_000]), send)
        await answer(send, b"%d" % len(body))

    server = serve_on(app, lifespan="off")

    def client(number):
        dice = random.Random(number)
        data = b"x" * dice.choice([0, 1, 1000, 100_000])
        request = b"POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (number, len(data)) + data
        with raw(server) as connection, contextlib.suppress(OSError, EOFError):
            for _ in range(dice.randrange(1, 6)):
                if dice.random() < 0.2:
                    return connection.send(request[: dice.randrange(len(request))])
                connection.send(request)
                if dice.random() < 0.2:
                    return None
                assert connection.read_response().status in (200, 500)
        return None

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(client, range(600)))
    assert httpx.get(server.url + "/1").status_code in (200, 500)
    server.stop()


def test_servers_in_threads_under_load(serve_on):
    servers = [serve_on(echo) for _ in range(4)]

    async def request(session, number):
        url = servers[number % 4].url
        async with session.post(f"{url}/{number}", data=b"x" * number) as reply:
            seen = await reply.json()
            return (seen["path"], seen["length"])

    replies = gather_requests(None, 1000, 40, request)
    assert replies == [(f"/{number}", number) for number in range(1000)]


@pytest.mark.parametrize("path", ["/piece", "/pieces"])
def test_large_answers(serve_on, path):
    data = hashlib.sha256(b"large").digest() * (2 * MIB)  # 64 MiB

    async def app(scope, receive, send):
        if scope["path"] == "/piece":
            return await answer(send, data)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for at in range(0, len(data), 1_000_003):
            await send({"type": "http.response.body", "body": data[at : at + 1_000_003], "more_body": True})
        await send({"type": "http.response.body"})

    reply = httpx.get(serve_on(app, lifespan="off").url + path, timeout=50)
    assert hashlib.sha256(reply.content).digest() == hashlib.sha256(data).digest()


def test_bytes_like_pieces(serve_on, raw):
    """bytearray and memoryview, changed by the app as soon as send() has returned."""
    buffer = bytearray(100_000)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(20):
            buffer[:] = bytes([65 + number]) * len(buffer)
            piece = buffer if number % 2 else memoryview(buffer)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            buffer[:] = b"!" * len(buffer)
        await send({"type": "http.response.body"})

    body = raw(serve_on(app, lifespan="off")).get().read_response().body
    assert body == b"".join(bytes([65 + number]) * len(buffer) for number in range(20))


def test_a_slow_reader_holds_up_its_own_app_only(serve_on, raw):
    progress, finished = [], threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/hello":
            return await hello(scope, receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % (64 * MIB))]})
        for number in range(256):
            await send({"type": "http.response.body", "body": b"x" * (MIB // 4), "more_body": number < 255})
            progress.append(number)
        finished.set()

    server = serve_on(app, lifespan="off")
    slow = raw(server).get()
    slow.read_until(b"\r\n\r\n")
    assert [httpx.get(server.url + "/hello").status_code for _ in range(20)] == [200] * 20
    assert not finished.wait(0.5)  # back-pressure has stopped the app, no matter how long it has run
    assert len(progress) < 128
    slow.read_exactly(64 * MIB)
    assert finished.wait(20)


def test_trickling_readers(serve_on, raw):
    server = serve_on(echo)

    def trickle(number):
        client = raw(server)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.get("/?stream=200000")
        return len(client.read_response().body)

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(trickle, range(10))) == [200000] * 10


def test_uploads_and_downloads_at_once(serve_on):
    async def app(scope, receive, send):
        if scope["method"] == "POST":
            return await answer(send, hashlib.sha256(await body_of(receive)).hexdigest().encode())
        return await stream(3_000_000, send)

    data = hashlib.sha256(b"up").digest() * 100_000
    expected = hashlib.sha256(data).hexdigest()

    async def request(session, number):
        if number % 2:
            async with session.post("/", data=data) as reply:
                return await reply.text() == expected
        async with session.get("/") as reply:
            return len(await reply.read()) == 3_000_000

    server = serve_on(app, lifespan="off", max_request_body="10MiB")
    assert all(gather_requests(server.url, 40, 10, request))
