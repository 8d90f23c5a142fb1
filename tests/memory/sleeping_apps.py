"""An app with threads of a native library that sleep in calls which a signal would end.

SLEEPERS in the environment is the path of sleepers.c, compiled; the threads start at import or with the first request,
as SLEEPERS_BEGIN says.
"""

import ctypes
import os

KINDS = ("poll", "epoll_wait", "select", "nanosleep", "usleep", "sem_timedwait", "recv")
library = ctypes.CDLL(os.environ["SLEEPERS"])
sleeping = False


def start():
    global sleeping
    if not sleeping:
        sleeping = True
        for kind in KINDS:
            assert library.start_sleeper(kind.encode()) == 0


if os.environ["SLEEPERS_BEGIN"] == "import":
    start()


async def app(scope, receive, send):
    assert scope["type"] == "http"
    start()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"sleeping"})
