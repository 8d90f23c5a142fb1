"""Four servers in four threads, started and stopped in turn under load; reports what is left at the end."""

import gc
import itertools
import json
import os
import socket
import sys
import threading
import time

import saltare
from saltare import _core

THREADS = 4
PORTS = {}  # of the running servers, by thread


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(10):
        await send({"type": "http.response.body", "body": b"x" * 20_000, "more_body": True})
    await send({"type": "http.response.body", "body": b"%d" % size})


async def lifespan(receive, send):
    for name in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{name}.complete"})


REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nonly this",
    b"GET / HT",
    b"nonsense\r\n\r\n",
]


def talk(port, request, patient):
    """One request; an impatient client disconnects in the middle of the response."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(10)
        client.sendall(request)
        data = b""
        while patient and b"\r\n0\r\n\r\n" not in data:
            piece = client.recv(65536)
            if not piece:
                break
            data += piece
        return data


def load(over):
    """Sends requests to any running server until told to stop; servers may end meanwhile."""
    for number in itertools.count():
        if over.is_set():
            return
        ports = list(PORTS.values())
        if not ports:
            time.sleep(0.001)
            continue
        try:
            talk(ports[number % len(ports)], REQUESTS[number % 2], patient=number % 7 != 0)
        except OSError:
            pass


def run(rounds):
    """Starts and stops servers in this thread."""
    me = threading.get_ident()
    for _ in range(rounds):
        with saltare.running(app, port=0, log_level="error", shutdown_timeout=20) as server:
            port = int(server.url.rpartition(":")[2])
            PORTS[me] = port
            assert talk(port, REQUESTS[0], True).startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\n50000\r\n0\r\n" in talk(port, REQUESTS[1], True)
            left = [socket.create_connection(("127.0.0.1", port), 10) for _ in REQUESTS]
            for client, request in zip(left, REQUESTS, strict=True):
                client.sendall(request)
            for client in left:
                client.close()
            del PORTS[me]


def figures():
    gc.collect()
    with open("/proc/self/statm") as file:
        rss = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "threads": threading.active_count(),
        "system_threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "rss": rss,
        "live": sum(_core.live().values()),
    }


def soak(rounds):
    over, failures = threading.Event(), []

    def worker():
        try:
            run(rounds // THREADS)
        except BaseException as error:
            failures.append(repr(error))
            raise

    loaders = [threading.Thread(target=load, args=[over]) for _ in range(2)]
    workers = [threading.Thread(target=worker) for _ in range(THREADS)]
    for thread in loaders + workers:
        thread.start()
    for thread in workers:
        thread.join()
    over.set()
    for thread in loaders:
        thread.join()
    return failures


def main(rounds):
    failures = soak(rounds)  # what is kept for reuse exists afterwards
    before = figures()
    failures += soak(rounds)
    print(json.dumps({"failures": failures, "before": before, "after": figures()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
