"""Apps whose streams last until the server stops, which they learn as libraries do."""

import asyncio
import signal
import sys
import types


async def stream(send, is_over):
    """Sends "False", and "True" once it is over."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"False", "more_body": True})
    while not is_over():
        await asyncio.sleep(0.005)
    await send({"type": "http.response.body", "body": b"True"})


async def by_getsignal(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    server = signal.getsignal(signal.SIGTERM).__self__
    assert server.should_exit is False
    await stream(send, lambda: server.should_exit)


def their_server():
    """Stands for an installed uvicorn: its module and class."""
    module = types.ModuleType("uvicorn.server")

    class Server:
        def handle_exit(self, sig, frame):
            self._captured_signals.append(sig)
            if self.should_exit and sig == signal.SIGINT:
                self.force_exit = True
            else:
                self.should_exit = True

    Server.handle_exit.__module__ = Server.__module__ = module.__name__
    module.Server = Server
    sys.modules[module.__name__] = module
    return Server


class AppStatus:
    should_exit = False

    @staticmethod
    def handle_exit(*args):
        AppStatus.should_exit = True
        AppStatus.original(*args)


async def by_replacement(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if not hasattr(AppStatus, "original"):
        server = their_server()
        AppStatus.original = server.handle_exit
        server.handle_exit = AppStatus.handle_exit
    await stream(send, lambda: AppStatus.should_exit)


async def with_loop_handler(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print("loop handler", file=sys.stderr, flush=True))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"set"})
