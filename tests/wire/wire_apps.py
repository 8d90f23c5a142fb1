"""Requests as bytes, and the small apps that respond to them."""

import asyncio
import hashlib
import json

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PIECE = 64 << 10
QUIET = {"server_header": "", "date_header": False, "lifespan": "off"}  # for responses that are the same every time


def get(target="/", *fields, version="1.1"):
    return request("GET", target, *fields, version=version)


def request(method, target, *fields, version="1.1"):
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]).encode("latin-1")


def post(body, *fields, length=None, target="/"):
    """A POST with a declared length, that of the body by default."""
    size = len(body) if length is None else length
    return request("POST", target, f"Content-Length: {size}", *fields) + body


def post_chunked(*pieces, end=b"0\r\n\r\n", target="/"):
    return request("POST", target, "Transfer-Encoding: chunked") + b"".join(map(chunk, pieces)) + end


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def body_of(receive):
    """The whole request body; None when the peer disconnected before its end."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)


async def start(send, *headers, status=200):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def piece(send, body, more=True):
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send, body=b"", *headers, status=200):
    await start(send, (b"content-length", b"%d" % len(body)), *headers, status=status)
    await piece(send, body, more=False)


def answered(body, *fields, status="200 OK"):
    """The response of `answer` on the wire of a server with QUIET options."""
    lines = [f"HTTP/1.1 {status}", *fields, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def answered_last(body):
    """The same, as the last response of its connection."""
    return answered(body).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)


def refused(status, *fields):
    """The server's own response, with QUIET options."""
    text = status.partition(" ")[2] + "\n"
    fields = ("content-type: text/plain; charset=utf-8", *fields, f"content-length: {len(text)}", "connection: close")
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", text]).encode()


async def hello(scope, receive, send):
    await answer(send, b"hello")


async def mirror(scope, receive, send):
    """Responds with the path and the body of the request."""
    body = await body_of(receive)
    if body is not None:
        await answer(send, scope["path"].encode() + b" " + body)


async def download(scope, receive, send):
    """As many bytes as the path says, in pieces of 64 KiB."""
    size = int(scope["path"][1:])
    await start(send, (b"content-length", b"%d" % size))
    for _ in range(size // PIECE):
        await piece(send, bytes(PIECE))
    await piece(send, b"", more=False)


async def upload(scope, receive, send):
    """Counts received bytes, and pauses now and then."""
    size = taken = 0
    more = True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
        if size - taken > 32 << 20:
            taken = size
            await asyncio.sleep(0.01)
    await answer(send, b"%d" % size)


async def deaf(scope, receive, send):
    """Responds without reading the body."""
    await answer(send, scope["path"].encode())


class Recorder:
    """An app that records what happened to it: `outcomes` gets a word for each finished request."""

    def __init__(self, app):
        self.app = app
        self.outcomes = []

    async def __call__(self, scope, receive, send):
        outcome = "returned"
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self.outcomes.append(outcome)


async def until_gone(receive):
    """Waits for the peer to disconnect."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def eventually(condition, message="it never happened"):
    """Waits within the app's loop until a condition holds."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(message)


hoarding = asyncio.Event()


async def hoard(scope, receive, send):
    """Receives no body until another request comes, then responds with the sizes of the messages it receives."""
    if scope["method"] == "GET":
        hoarding.set()
        return await answer(send)
    await hoarding.wait()
    sizes, digest, more = [], hashlib.sha256(), True
    while more:
        message = await receive()
        sizes.append(len(message["body"]))
        digest.update(message["body"])
        more = message["more_body"]
    await answer(send, json.dumps({"sizes": sizes, "digest": digest.hexdigest()}).encode())


async def where_from(scope, receive, send):
    """Responds with what the scope says of both ends."""
    told = {name: scope[name] for name in ("client", "scheme", "server", "root_path", "path")}
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": repr(told)})
        await send({"type": "websocket.close"})
        return
    await answer(send, repr(told).encode())
