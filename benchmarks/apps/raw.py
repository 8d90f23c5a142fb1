"""Plain ASGI: a 13-byte response on /, the request's own body on /echo, its length on /length, 1 MiB on /large, 100
pieces of 1 KiB on /stream.
"""

HELLO = b"Hello, World!"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
LARGE = bytes(1 << 20)
PIECE = bytes(1 << 10)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["path"] != "/":
        await OTHERS[scope["path"]](receive, send)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": HELLO})


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def echo(receive, send):
    await answer(send, await read_body(receive))


async def length(receive, send):
    total = 0
    more = True
    while more:
        message = await receive()
        total += len(message.get("body", b""))
        more = message.get("more_body", False)
    await answer(send, b"%d" % total)


async def large(receive, send):
    await answer(send, LARGE)


async def stream(receive, send):
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(100):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def answer(send, body):
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive):
    pieces = []
    more = True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


OTHERS = {"/echo": echo, "/length": length, "/large": large, "/stream": stream}
