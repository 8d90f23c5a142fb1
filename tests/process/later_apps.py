"""An app that reports whether ssl is loaded, before and after it connects or uses TLS."""

import asyncio
import os
import sys

import tls_clients


async def app(scope, receive, send):
    body = b"loaded" if "_ssl" in sys.modules else b"put off"
    if scope["path"] == "/speak":
        await tls_clients.speak()
        body = b"spoken" if "_ssl" in sys.modules else b"?"
    elif scope["path"] == "/connect":
        _, writer = await asyncio.open_connection(*scope["server"])
        writer.close()
        body = b"loaded" if sys.modules["_ssl"] else b"not there"
    elif scope["path"] == "/environment":
        body = f"{os.environ.get('GOMAXPROCS')} where Go looks: {where_go_looks('GOMAXPROCS')}".encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


def where_go_looks(name):
    """A variable in the array behind the arguments: the stack starts with argc, argv, 0, the variables, 0."""
    import ctypes

    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    stack, strings = int(fields[25]), int(fields[45])  # stack start and argument strings (proc(5))
    words = list((ctypes.c_uint64 * ((strings - stack) // 8)).from_address(stack))
    first = words.index(0) + 1
    variables = [ctypes.string_at(word).decode() for word in words[first : words.index(0, first)]]
    return dict(one.partition("=")[::2] for one in variables).get(name)
