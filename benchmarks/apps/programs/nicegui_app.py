"""A NiceGUI page."""

import asyncio

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from nicegui import ui

app = FastAPI()


@app.get("/stream")
async def stream():
    async def silent():
        yield b"begun"
        await asyncio.Event().wait()

    return StreamingResponse(silent())


@ui.page("/")
def index():
    ui.label("Hello")
    ui.button("greet", on_click=lambda: ui.notify("Hello"))


ui.run_with(app)
