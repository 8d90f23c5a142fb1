"""Apps that report when garbage is collected: in a file named by QUIET_REPORT, or in their responses."""

import gc
import json
import os

collections = [0, 0, 0]
KEPT = []


def count(phase, info):
    if phase == "stop":
        collections[info["generation"]] += 1


class Report:
    """Garbage from the start; only a collection frees it."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        with open(os.environ["QUIET_REPORT"], "a") as file:
            file.write("collected\n")


async def reply(send, body):
    fields = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def littering(scope, receive, send):
    assert scope["type"] == "http"
    Report()
    await reply(send, b"littered")


async def without_collector(scope, receive, send):
    gc.disable()
    await littering(scope, receive, send)


async def growing(scope, receive, send):
    """Creates many objects that stay, and reports which generations are collected then, none by Python itself."""
    assert scope["type"] == "http"
    gc.set_threshold(0)
    KEPT.extend((number, float(number)) for number in range(500_000))
    gc.callbacks.append(report_generation)
    await reply(send, b"grown")


def report_generation(phase, info):
    if phase == "start":
        with open(os.environ["QUIET_REPORT"], "a") as file:
            file.write(f"generation {info['generation']}\n")


async def counting(scope, receive, send):
    assert scope["type"] == "http"
    if count not in gc.callbacks:
        gc.disable()
        gc.callbacks.append(count)
    await reply(send, json.dumps(collections).encode())
