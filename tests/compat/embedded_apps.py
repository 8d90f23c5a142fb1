"""Programs as people write them for uvicorn; each serves on port 0 and says where on its stdout."""

import asyncio
import os
import signal
import sys

import uvicorn


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        print("shut down", flush=True)
        return
    body = uvicorn.Server.__module__.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


class Handling(Server):
    def handle_exit(self, sig, frame):
        print(f"handle_exit({sig:d})", flush=True)
        super().handle_exit(sig, frame)


def config(**options):
    return uvicorn.Config(app, **{"port": 0, "log_level": "warning", **options})


def run():
    Server(config()).run()
    print("returned", flush=True)


def handling():
    Handling(config()).run()
    print("returned", flush=True)


def serve():
    asyncio.run(Server(config()).serve())
    print("returned", flush=True)


def own_signals():
    class Quiet(Server):
        def install_signal_handlers(self):
            pass

    async def main():
        server = Quiet(config())
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(15, lambda: setattr(server, "should_exit", True))
        await server.serve()
        print("returned", flush=True)

    asyncio.run(main())


async def slowly(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    print("inside", flush=True)
    await asyncio.sleep(60)


def slow():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # afterwards, for a signal that comes too late
    Server(uvicorn.Config(slowly, port=0)).run()


def child():
    """What programs start: `python -m uvicorn` with the app's name."""
    command = [sys.executable, "-m", "uvicorn", "embedded_apps:app", "--port", sys.argv[2]]
    os.execv(command[0], command)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
