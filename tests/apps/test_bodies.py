"""What an app receives: bodies of all sizes, limits, back-pressure, and clients that disconnect."""

import asyncio
import hashlib
import threading
import time

import pytest

from app_asgi import answer, body_of, echo, hello, stream
from saltare.errors import ClientDisconnected

MIB = 1 << 20


def post(size, *fields):
    lines = ["POST / HTTP/1.1", "Host: test", f"Content-Length: {size}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def chunked(pieces):
    head = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def patterned(size):
    return (hashlib.sha256(b"seed").digest() * (size // 32 + 1))[:size]


# --- sizes


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65535, 65536, 65537, MIB])
def test_bodies_arrive_whole(serve, raw, size):
    data = patterned(size)
    bodies = []

    async def app(scope, receive, send):
        bodies.append(await body_of(receive))
        await answer(send)

    client = raw(serve(app, lifespan="off"))
    assert client.send(post(size) + data).read_response().status == 200
    pieces = [data[at : at + 5000] for at in range(0, size, 5000)]
    assert client.send(chunked(pieces)).read_response().status == 200
    assert bodies == [data, data]


def test_receive_messages_have_their_types(serve, raw):
    messages = []

    async def app(scope, receive, send):
        messages.append(await receive())
        await answer(send)

    client = raw(serve(app, lifespan="off"))
    client.get().read_response()
    client.send(post(3) + b"abc").read_response()
    assert messages == [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.request", "body": b"abc", "more_body": False},
    ]


def test_a_body_is_handed_on_as_it_arrives(serve_on, raw):
    seen = []
    first = threading.Event()

    async def app(scope, receive, send):
        while True:
            message = await receive()
            seen.append(message)
            first.set()
            if not message["more_body"]:
                return await answer(send)

    client = raw(serve_on(app, lifespan="off")).send(post(10) + b"first")
    assert first.wait(20)
    assert (seen[0]["body"], seen[0]["more_body"]) == (b"first", True)
    client.send(b"then!").read_response()
    assert b"".join(message["body"] for message in seen) == b"firstthen!"


def test_a_slow_client_byte_by_byte(serve_on, raw):
    client = raw(serve_on(echo))
    for byte in post(20) + b"x" * 20:
        client.send(bytes([byte]))
        time.sleep(0.001)
    assert b'"length": 20' in client.read_response().body


def test_an_app_that_does_not_read_stops_the_sender(serve, raw):
    """Back-pressure: of 64 MiB the server reads only what the kernel and 64 KiB hold until the app calls receive()."""
    go_on = threading.Event()

    async def app(scope, receive, send):
        await asyncio.to_thread(go_on.wait, 20)
        await answer(send, hashlib.sha256(await body_of(receive)).hexdigest().encode())

    client = raw(serve(app, lifespan="off", max_request_body=0))
    data = patterned(64 * MIB)
    client.send(post(len(data)))
    client.socket.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < len(data):
            sent += client.socket.send(memoryview(data)[sent : sent + MIB])
    assert sent < 32 * MIB
    client.socket.settimeout(20)
    go_on.set()
    client.socket.sendall(memoryview(data)[sent:])
    assert client.read_response().body.decode() == hashlib.sha256(data).hexdigest()


# --- limits


def test_declared_length_over_the_cap_is_413(serve, raw):
    server = serve(echo, max_request_body=MIB)
    reply = raw(server).send(post(MIB + 1)).read_response()
    assert reply.status == 413
    assert b'"length": 1048576' in raw(server).send(post(MIB) + b"x" * MIB).read_response().body


def test_chunked_body_over_the_cap_is_413(serve, raw):
    server = serve(echo, max_request_body=1000)
    assert raw(server).send(chunked([b"x" * 500, b"y" * 501])).read_response().status == 413
    assert raw(server).send(chunked([b"x" * 500, b"y" * 500])).read_response().status == 200


def test_no_cap(serve, raw):
    data = patterned(40 * MIB)
    reply = raw(serve(echo, max_request_body=0)).send(post(len(data)) + data).read_response()
    assert hashlib.sha256(data).hexdigest().encode() in reply.body


# --- Expect: 100-continue


def test_the_interim_answer_comes_when_the_app_asks_for_the_body(serve_on, raw):
    client = raw(serve_on(echo)).send(post(5, "Expect: 100-continue"))
    assert client.read_response().status == 100
    reply = client.send(b"hello").read_response()
    assert (reply.status, b'"length": 5' in reply.body) == (200, True)


def test_no_interim_answer_when_the_app_does_not_ask(serve, raw):
    assert raw(serve(hello)).send(post(5, "Expect: 100-continue")).read_response().status == 200


def test_no_interim_answer_when_the_declared_length_is_over_the_cap(serve, raw):
    client = raw(serve(echo, max_request_body=1000)).send(post(1001, "Expect: 100-continue"))
    assert client.read_response().status == 413


# --- disconnects


def test_receive_waits_until_the_client_goes(serve_on, raw):
    messages, waiting, told = [], threading.Event(), threading.Event()

    async def app(scope, receive, send):
        messages.append(await receive())
        waiting.set()
        messages.append(await receive())
        messages.append(await receive())
        told.set()

    client = raw(serve_on(app, lifespan="off")).get()
    assert waiting.wait(20)
    assert not told.wait(0.1)
    client.close()
    assert told.wait(20)
    assert [message["type"] for message in messages] == ["http.request", "http.disconnect", "http.disconnect"]


def test_receive_after_the_answer_is_disconnect(serve_on, raw):
    messages, told = [], threading.Event()

    async def app(scope, receive, send):
        await receive()
        await answer(send, b"done")
        messages.append(await receive())
        told.set()

    client = raw(serve_on(app, lifespan="off"))
    assert client.get().read_response().body == b"done"
    assert told.wait(20)
    assert messages == [{"type": "http.disconnect"}]


def test_a_receive_that_waits_ends_with_the_answer(serve_on, raw):
    """As Litestar does: one task streams, another waits for the disconnect, and both must end."""
    told = threading.Event()

    async def app(scope, receive, send):
        await receive()
        leaving = asyncio.ensure_future(receive())
        await asyncio.sleep(0.005)
        await answer(send, b"done")
        assert await leaving == {"type": "http.disconnect"}
        told.set()

    client = raw(serve_on(app, lifespan="off", shutdown_timeout=1))
    assert client.get().read_response().body == b"done"
    assert told.wait(5)


def test_a_client_that_leaves_in_the_middle_of_its_body(serve, raw):
    messages, first, told = [], threading.Event(), threading.Event()

    async def app(scope, receive, send):
        while not messages or messages[-1]["type"] != "http.disconnect":
            messages.append(await receive())
            first.set()
        told.set()

    client = raw(serve(app, lifespan="off")).send(post(100) + b"only this")
    assert first.wait(20)
    client.close()
    assert told.wait(20)
    assert messages == [{"type": "http.request", "body": b"only this", "more_body": True}, {"type": "http.disconnect"}]


def test_send_raises_once_the_client_has_gone(serve_on, raw):
    raised, told = [], threading.Event()

    async def app(scope, receive, send):
        try:
            await stream(1 << 30, send)
        except Exception as error:
            raised.append(error)
            told.set()
            raise

    server = serve_on(app, lifespan="off")
    client = raw(server).get()
    client.read_until(b"x" * 1000)
    client.close()
    assert told.wait(20)
    assert isinstance(raised[0], ClientDisconnected) and isinstance(raised[0], OSError)
    server.stop()
    assert "Traceback" not in server.logs()  # a disconnect is not an error of the app


def test_a_waiting_receive_can_be_cancelled(serve_on, raw):
    """As frameworks do: wait for the disconnect during the work, and cancel the wait when the work is done."""

    async def app(scope, receive, send):
        await receive()
        for _ in range(3):
            leaving = asyncio.ensure_future(receive())
            await asyncio.sleep(0.005)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        await answer(send, b"worked")

    client = raw(serve_on(app, lifespan="off"))
    for _ in range(3):
        assert client.get().read_response().body == b"worked"


def test_a_cancelled_receive_loses_no_byte(serve_on, raw):
    bodies, ready = [], threading.Event()

    async def app(scope, receive, send):
        early = asyncio.ensure_future(receive())
        await asyncio.sleep(0.01)
        early.cancel()
        await asyncio.gather(early, return_exceptions=True)
        ready.set()
        bodies.append(await body_of(receive))
        await answer(send)

    client = raw(serve_on(app, lifespan="off")).send(post(5))
    assert ready.wait(20)
    assert client.send(b"hello").read_response().status == 200
    assert bodies == [b"hello"]


def test_send_and_receive_from_tasks_of_the_app(serve_on, raw):
    async def app(scope, receive, send):
        lines = asyncio.Queue()

        async def read():
            body = await body_of(receive)
            for line in body.split():
                await lines.put(line)
            await lines.put(None)

        async def write():
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while (line := await lines.get()) is not None:
                await send({"type": "http.response.body", "body": line[::-1] + b" ", "more_body": True})
            await send({"type": "http.response.body"})

        await asyncio.gather(read(), write())

    client = raw(serve_on(app, lifespan="off"))
    for _ in range(3):
        assert client.send(post(11) + b"abc def ghi").read_response().body == b"cba fed ihg "
