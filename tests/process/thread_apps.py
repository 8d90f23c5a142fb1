"""Apps that start threads at import, and cannot respond without them; KIND selects the thread."""

import asyncio
import ctypes
import os
import queue
import threading

KIND = os.environ.get("KIND", "")
IMPORTED_BY = os.getpid()


def python_thread():
    """A thread that handles a queue, like those of schedulers and exporters."""
    work = queue.Queue()

    def answer():
        while True:
            future, loop = work.get()
            loop.call_soon_threadsafe(future.set_result, b"of a thread")

    threading.Thread(target=answer, name="answering", daemon=True).start()

    async def ask():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        work.put((future, loop))
        return await future

    return ask


def native_thread():
    """A thread of a library, unknown to Python: it counts as long as it lives."""
    library = ctypes.CDLL(os.environ["LIBRARY"])
    library.start()

    async def ask():
        before = library.rounds()
        while library.rounds() == before:
            await asyncio.sleep(0.001)
        return b"of a library"

    return ask


def pool_of_numpy():
    """OpenBLAS starts its threads when it is loaded; a product of large matrices needs them."""
    import numpy

    if len(os.listdir("/proc/self/task")) == 1:
        raise SystemExit("this OpenBLAS has started no thread")

    async def ask():
        matrix = numpy.ones((600, 600))
        return b"%d" % (matrix @ matrix)[0, 0]

    return ask


async def no_thread():
    return b"of nobody"


ASK = {"python": python_thread, "native": native_thread, "numpy": pool_of_numpy}.get(KIND, lambda: no_thread)()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("none")
    body = await ASK() if scope["path"] == "/" else b"%d" % IMPORTED_BY
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    import sys

    import saltare

    print("the program runs", flush=True)
    saltare.run("thread_apps:app" if sys.argv[1] == "name" else app, workers=2, port=0)
