"""An app with a large heap of small and large objects; a request makes some more, most of them garbage.

HEAP_MIB in the environment sets the size; HEAP_SINCE, whether the import or the first request makes the heap.
"""

import os
import random

MIB = int(os.environ.get("HEAP_MIB", "500"))
chance = random.Random(3)
kept = []


def fill():
    """A third each: small tuples, dicts with texts, and buffers."""
    for number in range(MIB * 940):
        kept.append((number, float(number)))
        kept.append({"name": f"item {number}", "tags": [number]})
        if number % 8 == 0:
            kept.append(bytearray(chance.choice((600, 1500, 6000, 11_000))))


def burst():
    """Objects of all sizes, in cycles; one in fifty stays for a while."""
    for number in range(3000):
        one = {"data": bytes(chance.randrange(2000)), "number": number}
        one["itself"] = one
        if number % 50 == 0:
            kept[chance.randrange(len(kept))] = one


if os.environ.get("HEAP_SINCE") != "request":
    fill()


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if not kept:
        fill()
    burst()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
