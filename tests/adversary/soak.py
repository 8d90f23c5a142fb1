"""A server under a harmful collector until it has served COUNT requests and messages: `python soak.py [COUNT]`.

Prints the live objects at the start and at the end, and fails when any are left over. Clients run in a second process.
"""

import asyncio
import gc
import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "bridge")]

COUNT = 5000
CONNECTIONS = 8
DEPTH = 16  # requests that a client sends before it reads responses
PATIENCE = 0.5  # seconds; a response that the adversary has destroyed never arrives
PHASES = 10
OFTEN, SELDOM = 0.1, 0.003  # share of the allocations: a harmless action, a harmful one
LEFT_MIB = 3.0  # allowed growth of resident memory from the third phase to the last, for caches


# ---- the clients ---------------------------------------------------------------------------------------------------------


def peer(port, number):
    """One connection after another, each until it ends."""
    from frames import BINARY, Peer, close, frame, text
    from rawsocket import Raw

    get = b"GET /%d HTTP/1.1\r\nHost: soak\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 5000\r\n\r\n" + bytes(5000)
    while True:
        try:
            if number % 2:
                with Peer(port, timeout=PATIENCE) as ws:
                    for _round in range(1000):
                        ws.send(b"".join(text(f"{i}" * 50) + frame(BINARY, bytes(i * 100)) for i in range(DEPTH)))
                        for _ in range(2 * DEPTH):
                            ws.read_frame()
                    ws.send(close(1000))
            else:
                with Raw(port, timeout=PATIENCE) as raw:
                    for _round in range(1000):
                        raw.send(b"".join(post if i == 3 else get % i for i in range(DEPTH)))
                        for _ in range(DEPTH):
                            raw.read_response()
        except (OSError, EOFError, ValueError, AssertionError, IndexError):
            if os.getppid() == 1:
                return
            time.sleep(0.001)


def clients(port):
    import threading

    for number in range(CONNECTIONS):
        threading.Thread(target=peer, args=(port, number), daemon=True).start()
    sys.stdin.read()  # until the server ends


# ---- the server ----------------------------------------------------------------------------------------------------------


class App:
    """Echoes, and counts requests and messages."""

    def __init__(self):
        self.served = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            return await self.websocket(receive, send)
        body = 0
        while True:
            message = await receive()
            body += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        if scope["path"].endswith("5"):
            await asyncio.sleep(0)
        data = bytes(20_000) if scope["path"].endswith("7") else b"x" * 100
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(data))]})
        await send({"type": "http.response.body", "body": data})
        self.served += 1

    async def websocket(self, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            await send({**message, "type": "websocket.send"})
            self.served += 1


def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


def figures(app):
    gc.collect()
    counts = {"served": app.served, "objects": len(gc.get_objects()), "blocks": sys.getallocatedblocks()}
    if hasattr(sys, "gettotalrefcount"):
        counts["references"] = sys.gettotalrefcount()
    return {**counts, "MiB": round(resident_mib(), 1)}


class Soak:
    """Runs the server in this thread, with the adversary in it; each phase ends with a reading of the figures."""

    def __init__(self, count):
        from meddler import Meddler, Vandal

        self.count, self.app, self.rows = count, App(), []
        self.meddler, self.vandal = Meddler(), Vandal()

    def run(self):
        import saltare

        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [sys.executable, __file__, "clients", str(listener.getsockname()[1])]
            options = {"lifespan": "off", "log_level": "critical", "max_keepalive_requests": 0}
            self.server = saltare.Server(self.app, fd=listener.fileno(), **options)
            self.server.after_start = self.begin
            self.others = subprocess.Popen(command, stdin=subprocess.PIPE)
            self.server.run()
            self.others.wait()

    def begin(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)  # for tasks that the adversary has broken
        self.watching = loop.create_task(self.watch())

    async def watch(self):
        from adversary import Adversary

        gc.collect()
        gc.freeze()
        try:
            for phase in range(1, PHASES + 1):
                with Adversary(self.sometimes) as adversary:
                    while self.app.served < self.count * phase / PHASES:
                        await asyncio.sleep(0.05)
                self.rows.append({**figures(self.app), "springs": adversary.springs})
                print(json.dumps(self.rows[-1]), flush=True)
        finally:
            self.others.stdin.close()
            self.server.shutdown()
            self.server.shutdown()

    def sometimes(self):
        """Listing live objects costs the most, so it is not done at each allocation."""
        chance = self.vandal.random.random()
        if chance < SELDOM:
            self.vandal.act()
        elif chance < OFTEN:
            self.meddler.act()


def main(count):
    from saltare._core import live

    soak = Soak(count)
    hook, sys.unraisablehook = sys.unraisablehook, lambda error: None
    try:
        soak.run()
    finally:
        sys.unraisablehook = hook
    gc.unfreeze()
    gc.collect()
    left = {name: n for name, n in live().items() if n}
    assert not left, left
    warm, last = soak.rows[2], soak.rows[-1]
    assert last["MiB"] - warm["MiB"] < LEFT_MIB, (warm, last)
    print("nothing is left")


if __name__ == "__main__":
    if sys.argv[1:2] == ["clients"]:
        clients(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else COUNT)
