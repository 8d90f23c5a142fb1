"""The chat of every framework, with common clients."""

import asyncio
import json

import aiohttp
import pytest
import websockets

from app_sockets import APPS
from harness import HANG

LARGE = "é" * 100_000


@pytest.fixture(params=APPS)
def chat(request, serve_on):
    """The URL of a framework's chat, on each driver."""
    pytest.importorskip(request.param)
    return serve_on(APPS[request.param](), lifespan="off").url.replace("http", "ws") + "/chat/red"


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, HANG))


def test_websockets(chat):
    async def talk():
        async with websockets.connect(chat, subprotocols=["other", "chat"]) as client:
            assert client.subprotocol == "chat" and client.response.headers["x-room"] == "red"
            assert json.loads(await client.recv()) == {"room": "red"}
            for message in ("hello", b"\x00\xff", LARGE, LARGE.encode(), ""):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "three ", "pieces"])
            assert await client.recv() == "in three pieces"
            await (await client.ping(b"?"))
            await client.send("bye")
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await client.recv()
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "see you")

    run(talk())


def test_aiohttp(chat):
    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(chat, protocols=["chat"]) as client:
            assert client.protocol == "chat"
            assert await client.receive_json() == {"room": "red"}
            await client.send_str(LARGE)
            assert await client.receive_str() == LARGE
            await client.send_bytes(LARGE.encode())
            assert await client.receive_bytes() == LARGE.encode()
            await client.ping()
            await client.send_str("bye")
            message = await client.receive()
            assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4000, "see you")

    run(talk())


def test_compression(serve_on):
    server = serve_on(APPS["starlette"](), lifespan="off", ws_per_message_deflate=True)
    url = server.url.replace("http", "ws") + "/chat/red"

    async def talk():
        async with websockets.connect(url, subprotocols=["chat"], compression="deflate") as client:
            assert "permessage-deflate" in client.response.headers["sec-websocket-extensions"]
            await client.recv()
            for message in ("hello", LARGE, b"", LARGE.encode()):
                await client.send(message)
                assert await client.recv() == message
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=["chat"], compress=15) as client,
        ):
            await client.receive()
            await client.send_str(LARGE)
            assert await client.receive_str() == LARGE

    run(talk())


def test_many_talk_at_a_time(serve_on):
    url = serve_on(APPS["starlette"](), lifespan="off").url.replace("http", "ws") + "/chat/"

    async def one(number):
        async with websockets.connect(f"{url}{number}", subprotocols=["chat"]) as client:
            assert json.loads(await client.recv()) == {"room": str(number)}
            for i in range(20):
                await client.send(f"{number}: {i}")
                assert await client.recv() == f"{number}: {i}"

    async def all_of_them():
        await asyncio.gather(*map(one, range(100)))

    run(all_of_them())
