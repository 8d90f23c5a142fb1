"""A NiceGUI page, in an app of FastAPI; run as a program, by NiceGUI itself."""

import asyncio
import sys

import nicegui
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from nicegui import ui

app = nicegui.app if __name__ == "__main__" else FastAPI()


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


if __name__ == "__main__":
    ui.run(port=int(sys.argv[1]), reload=False, show=False)
else:
    ui.run_with(app)
