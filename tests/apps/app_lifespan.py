"""An app whose lifespan follows a list of steps."""

import asyncio

from app_asgi import hello


class App:
    """Runs the lifespan as `steps` says, and records what happened."""

    def __init__(self, startup="complete", shutdown="complete"):
        self.startup, self.shutdown = startup, shutdown
        self.events = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.events.append("request")
            return await hello(scope, receive, send)
        assert scope["type"] == "lifespan"
        self.scope = scope
        for phase in ("startup", "shutdown"):
            message = await receive()
            self.events.append(message["type"])
            await self.step(phase, send)
        return None

    async def step(self, phase, send):
        how = getattr(self, phase)
        if how == "raise":
            raise RuntimeError(f"{phase} raised")
        message = {"type": f"lifespan.{phase}.{how}"}
        if how == "failed":
            message["message"] = f"{phase} failed, says the app"
        await asyncio.sleep(0.01)
        await send(message)


failing = App(startup="failed")
raising = App(startup="raise")
