"""Apps that fork while they are served. The child may run Python, and exit."""

import asyncio
import multiprocessing
import os
import sys
import traceback

import saltare


async def app(scope, receive, send):
    what = scope["path"][1:]
    body = await globals()[what](send) if what != "hello" else b"hello"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def in_child(do):
    """Forks, lets the child call `do` and exit; returns the result of `do` as text, and the exit status."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = repr(do())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    return text + b" %d" % os.waitpid(pid, 0)[1]


async def computes(send):
    return in_child(lambda: sum(map(len, ["a" * n for n in range(1000)])))


async def polls(send):
    """The child cannot run the server's loop any further."""
    loop = asyncio.get_running_loop()
    return in_child(lambda: loop._selector.select(0))


async def serves(send):
    return in_child(lambda: saltare.run(app, port=0, lifespan="off"))


async def sends(send):
    """Nothing that the child sends leaves the child."""

    def answer():
        message = {"type": "http.response.start", "status": 500, "headers": [(b"x", b"from the child")]}
        try:
            send(message).send(None)
        except StopIteration:
            return "taken"
        return "waits"

    return b"the parent's answer, child: " + in_child(answer)


async def uses_a_loop_of_its_own(send):
    def run():
        asyncio.events._set_running_loop(None)
        return asyncio.run(asyncio.sleep(0.001, "slept"))

    return in_child(run)


def work(queue):
    queue.put(sum(range(1000)))


async def multiprocessing_fork(send):
    """A child that ends as an interpreter does, with its full clean-up."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=[queue])
    process.start()
    await asyncio.to_thread(process.join)
    return b"%d %d" % (queue.get(), process.exitcode)


async def falls_through(send):
    """The child leaves the handler by SystemExit, and so reaches the server's own code."""
    pid = os.fork()
    if pid == 0:
        sys.exit(5)
    status = await asyncio.to_thread(os.waitpid, pid, 0)
    return b"%d" % os.waitstatus_to_exitcode(status[1])


async def forks_a_grandchild(send):
    return in_child(lambda: in_child(lambda: 6 * 7))


async def fails(send):
    """The child can create a traceback."""

    def do():
        try:
            raise ValueError("in the child")
        except ValueError:
            return traceback.format_exc().splitlines()[-1]

    return in_child(do)
