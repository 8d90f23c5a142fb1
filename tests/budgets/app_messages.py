"""WebSockets: /echo sends back, /swallow counts, /flood sends without end; every other path only waits."""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/flood":
        while True:
            await send({"type": "websocket.send", "bytes": bytes(10_000)})
    size = 0
    while (message := await receive())["type"] == "websocket.receive":
        if scope["path"] == "/echo":
            await send({**message, "type": "websocket.send"})
        elif scope["path"] == "/swallow":
            size += len(message["bytes"])
            if not message["bytes"]:
                await send({"type": "websocket.send", "text": str(size)})
