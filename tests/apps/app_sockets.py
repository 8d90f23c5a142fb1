"""One chat, written for each framework: it greets with the path, echoes text and bytes, and closes on "bye"."""


def fastapi():
    from fastapi import FastAPI, WebSocket

    app = FastAPI()

    @app.websocket("/chat/{room}")
    async def chat(socket: WebSocket, room: str):
        await socket.accept(subprotocol="chat", headers=[(b"x-room", room.encode())])
        await socket.send_json({"room": room})
        while (message := await socket.receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                return await socket.close(4000, "see you")
            await socket.send({**message, "type": "websocket.send"})

    return app


def starlette():
    from starlette.applications import Starlette
    from starlette.endpoints import WebSocketEndpoint
    from starlette.routing import WebSocketRoute

    class Chat(WebSocketEndpoint):
        async def on_connect(self, socket):
            room = socket.path_params["room"]
            await socket.accept(subprotocol="chat", headers=[(b"x-room", room.encode())])
            await socket.send_json({"room": room})

        async def decode(self, socket, message):
            return message

        async def on_receive(self, socket, message):
            if message.get("text") == "bye":
                await socket.close(4000, "see you")
            else:
                await socket.send({**message, "type": "websocket.send"})

    return Starlette(routes=[WebSocketRoute("/chat/{room}", Chat)])


def litestar():
    from litestar import Litestar, WebSocket, websocket

    @websocket("/chat/{room:str}")
    async def chat(socket: WebSocket, room: str) -> None:
        await socket.accept(subprotocols="chat", headers={"x-room": room})
        await socket.send_json({"room": room})
        while (message := await socket.receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                return await socket.close(4000, "see you")
            await socket.send({**message, "type": "websocket.send"})

    return Litestar([chat], logging_config=None)


def quart():
    from quart import Quart, websocket

    app = Quart(__name__)

    @app.websocket("/chat/<room>")
    async def chat(room):
        await websocket.accept({"x-room": room}, "chat")
        await websocket.send_json({"room": room})
        while (message := await websocket.receive()) != "bye":
            await websocket.send(message)
        await websocket.close(4000, "see you")

    return app


def channels():
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", INSTALLED_APPS=["channels"])
        django.setup()
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    class Chat(AsyncWebsocketConsumer):
        async def connect(self):
            room = self.scope["url_route"]["kwargs"]["room"]
            await self.accept("chat", headers=[(b"x-room", room.encode())])
            await self.send(f'{{"room": "{room}"}}')

        async def receive(self, text_data=None, bytes_data=None):
            if text_data == "bye":
                await self.close(4000, "see you")
            else:
                await self.send(text_data, bytes_data)

    return ProtocolTypeRouter({"websocket": URLRouter([path("chat/<str:room>", Chat.as_asgi())])})


APPS = {app.__name__: app for app in (fastapi, starlette, litestar, quart, channels)}
