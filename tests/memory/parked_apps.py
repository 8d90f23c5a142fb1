"""Apps whose responses come from a large heap."""

import asyncio
import hashlib
import json
import os

from fastapi import FastAPI

# Data that only start-up needed, that some requests need, and that every request needs.
TABLE = {number: {"name": f"item {number}", "tags": [str(number)] * 5} for number in range(20_000)}
BLOB = bytes(range(256)) * 20_000
fast = FastAPI()


@fast.get("/item/{number}")
async def item(number: int):
    return TABLE[number]


async def app(scope, receive, send):
    if scope["type"] == "http" and not scope["path"].startswith("/item/"):
        await ANSWERS[scope["path"]](scope, receive, send)
    else:
        await fast(scope, receive, send)


async def reply(send, body, status=200):
    fields = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def echo(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    await reply(send, hashlib.sha256(body).hexdigest().encode() + body[:1000])


async def query(scope, receive, send):
    number = int(scope["query_string"])
    TABLE[number]["tags"].append(str(number))  # a cold page becomes a private one
    TABLE[number]["tags"].pop()
    await reply(send, json.dumps([scope["path"], TABLE[number], list(map(repr, scope["headers"]))]).encode())


async def blob(scope, receive, send):
    await reply(send, BLOB[:70_000])


async def thread(scope, receive, send):
    digest = await asyncio.get_running_loop().run_in_executor(None, hashlib.sha256, BLOB)
    await reply(send, digest.hexdigest().encode())


async def child(scope, receive, send):
    process = await asyncio.create_subprocess_exec("echo", "child", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    pid = os.fork()
    if pid == 0:
        os._exit(hashlib.sha256(BLOB).digest()[0])
    _, status = os.waitpid(pid, 0)
    await reply(send, output + str(os.waitstatus_to_exitcode(status)).encode())


ANSWERS = {f"/{answer.__name__}": answer for answer in (echo, query, blob, thread, child)}
