"""FastAPI: the route of fast.py, and a websocket that waits for messages."""

from fast import app
from fastapi import WebSocket


@app.websocket("/{path}")
async def wait(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
