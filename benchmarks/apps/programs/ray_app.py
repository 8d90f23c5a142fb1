"""Ray Serve with an app of FastAPI; its proxy, in a process that Ray starts, runs uvicorn."""

import asyncio
import sys

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from ray import serve

app = FastAPI()


@serve.deployment
@serve.ingress(app)
class Hello:
    @app.get("/")
    def index(self):
        return {"message": "Hello"}

    @app.get("/stream")
    async def stream(self):
        async def silent():
            yield b"begun"
            await asyncio.Event().wait()

        return StreamingResponse(silent())


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Hello.bind(), blocking=True)
