"""An app whose requests may keep a server from ending cleanly; its process reports when its exit functions run."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import signal
import sys
import threading
import time

STARTUP, SHUTDOWN = os.environ.get("STARTUP", ""), os.environ.get("SHUTDOWN", "")


def say(text):
    print(text, file=sys.stderr, flush=True)


atexit.register(say, f"exit functions of {os.getpid()}")


class Finalized:
    """Reports when the interpreter destroys its objects."""

    def __del__(self, write=os.write):
        write(2, b"finalized\n")


sys.kept_to_the_end = Finalized()


class Open:
    """A file with an unflushed buffer, in a cycle, like any object of an app that refers back to the app."""

    def __init__(self, path):
        self.file, self.itself = open(path, "w"), self
        self.file.write("in the buffer")


def write_for_ever(full):
    """Holds the lock of the file, a pipe that nobody reads."""
    full.write(bytes(1 << 20))


if "KEPT_OPEN" in os.environ:
    first, full, last = (
        Open(f"{os.environ['KEPT_OPEN']}1"),
        open(os.pipe()[1], "wb"),
        Open(f"{os.environ['KEPT_OPEN']}2"),
    )
    threading.Thread(target=write_for_ever, args=(full,), daemon=True).start()


async def lifespan(receive, send):
    await receive()
    end(STARTUP)
    if STARTUP == "signals":  # replaces those of the server
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(5))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("lifespan shutdown")
    end(SHUTDOWN)
    await send({"type": "lifespan.shutdown.complete"})


def end(how):
    if how == "exit":
        sys.exit(4)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "raise":
        raise RuntimeError("it goes wrong")
    if how == "stop":
        asyncio.get_running_loop().stop()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await globals()[scope["path"].split("/")[1]](scope)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
    if scope["path"] == "/stream":
        await asyncio.sleep(3600)
    if scope["path"].startswith(("/task", "/callback")):
        await asyncio.sleep(0.5)  # while the task or callback raises
    await send({"type": "http.response.body", "body": b"ended"})


async def quick(scope):
    pass


async def stream(scope):
    pass


async def task(scope):
    """Raises outside of the request."""

    async def stray():
        await asyncio.sleep(0.1)
        end(scope["path"].split("/")[2])

    task.kept = asyncio.ensure_future(stray())


async def uncancelled(scope):
    """A task that catches each cancellation."""

    async def continues():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    uncancelled.kept = asyncio.ensure_future(continues())


async def callback(scope):
    asyncio.get_running_loop().call_later(0.1, end, scope["path"].split("/")[2])


async def cancel_all(scope):
    for one in asyncio.all_tasks():
        one.cancel()


async def thread(scope):
    """Never ends, and is not a daemon."""
    threading.Thread(target=sleep, name="sleeper").start()


def sleep():
    while True:
        time.sleep(60)


async def executor(scope):
    asyncio.get_running_loop().run_in_executor(None, sleep)


async def daemons(scope):
    """A thread that is a daemon has an executor, whose threads are daemons too: one idle, and one that never ends."""
    working_on = threading.Event()

    def begin():
        daemons.kept = concurrent.futures.ThreadPoolExecutor()
        barrier = threading.Barrier(2)
        for _ in range(2):
            daemons.kept.submit(barrier.wait)
        if not scope["path"].endswith("/idle"):
            daemons.kept.submit(lambda: (working_on.set(), sleep()))
            working_on.wait()

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    await asyncio.to_thread(thread.join)


async def working(scope):
    """A thread that ends after that many seconds, if the process waits for it."""
    threading.Thread(target=work, args=[float(scope["path"].split("/")[2])]).start()


async def work_in_executor(scope):
    """The same, and it needs the loop."""
    loop = asyncio.get_running_loop()

    def work_with_loop():
        time.sleep(0.3)
        done = False
        while not done:  # tasks that exist at the end are cancelled; that is not tested here
            with contextlib.suppress(concurrent.futures.CancelledError):
                done = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, True), loop).result()
        say("work is done")

    loop.run_in_executor(None, work_with_loop)


def work(seconds):
    time.sleep(seconds)
    say("work is done")


async def no_lifespan(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await app(scope, receive, send)


async def buffered(scope):
    """Where stdout is a file, output of a program stays in its buffer until it exits."""
    print("buffered")
