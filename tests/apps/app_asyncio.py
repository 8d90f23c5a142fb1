"""An app that uses its loop to the full: each path runs the case of that name. Per request."""

import asyncio
import contextvars
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from app_asgi import answer

CASES = {}
RESULTS = {}  # what tasks that outlive their request leave behind
request_name = contextvars.ContextVar("request_name", default="nobody")


def case(function):
    CASES[function.__name__] = function
    return function


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    query = scope["query_string"].decode()
    run = CASES[scope["path"].strip("/")]
    result = await run(query) if run.__code__.co_argcount else await run()
    await answer(send, json.dumps(result).encode())
    return None


async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    RESULTS.update(received=[], mailbox=asyncio.Queue())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, RESULTS["received"].append, "SIGUSR1 by the loop")
    signal.signal(signal.SIGUSR2, lambda number, frame: RESULTS["received"].append("SIGUSR2 by Python"))
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    print("lifespan shutdown ran", file=sys.stderr, flush=True)
    await send({"type": "lifespan.shutdown.complete"})


# --- sockets


@case
async def open_connection(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"ping\n" * 50_000)
    await writer.drain()
    writer.write_eof()
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return len(data)


@case
async def refused_connection(port):
    try:
        await asyncio.open_connection("127.0.0.1", int(port))
    except ConnectionRefusedError:
        return "refused"


@case
async def start_server():
    async def shout(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def talk(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"line %d\n" % number)
        line = await reader.readline()
        writer.close()
        return line.decode()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.gather(*(talk(port, number) for number in range(20)))


@case
async def unix_server():
    path = f"{tempfile.mkdtemp()}/socket"

    async def reply(reader, writer):
        writer.write((await reader.readline())[::-1])
        writer.close()

    async with await asyncio.start_unix_server(reply, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"abc\n")
        data = await reader.read()
        writer.close()
        return data.decode()


@case
async def datagrams():
    loop = asyncio.get_running_loop()
    got = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            got.set_result(data.decode())

    receiver, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    address = receiver.get_extra_info("sockname")
    sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    sender.sendto(b"datagram")
    result = await asyncio.wait_for(got, 10)
    sender.close()
    receiver.close()
    return result


@case
async def sock_calls():
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    data = b"x" * 2_000_000
    sending = asyncio.ensure_future(loop.sock_sendall(left, data))
    size = 0
    while size < len(data):
        size += len(await loop.sock_recv(right, 65536))
    await sending
    left.close()
    right.close()
    return size


@case
async def readers_and_writers_of_pipes():
    """add_reader, add_writer, their replacement and removal, and a descriptor that is used again."""
    loop = asyncio.get_running_loop()
    seen = []
    for number in range(5):
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        got, writable = loop.create_future(), loop.create_future()
        loop.add_reader(read_end, lambda: None)
        loop.add_reader(read_end, lambda: got.done() or got.set_result(os.read(read_end, 100).decode()))  # noqa: B023
        loop.add_writer(write_end, lambda: writable.done() or writable.set_result(None))  # noqa: B023
        await asyncio.wait_for(writable, 10)
        loop.remove_writer(write_end)
        os.write(write_end, b"%d" % number)
        seen.append(await asyncio.wait_for(got, 10))
        loop.remove_reader(read_end)
        assert not loop.remove_reader(read_end)
        os.close(read_end)
        os.close(write_end)
    return seen


@case
async def pipe_transports():
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write_end, "wb"))
    transport.write(b"through a pipe")
    transport.close()
    return (await reader.read()).decode()


@case
async def resolve():
    infos = await asyncio.get_running_loop().getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    return bool(infos)


# --- processes


@case
async def subprocess_exec():
    command = [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(7)"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    out, _ = await process.communicate(b"text " * 50_000)
    return [process.returncode, len(out), out[:5].decode()]


@case
async def subprocess_killed():
    process = await asyncio.create_subprocess_exec("sleep", "60")
    process.kill()
    return await process.wait()


@case
async def many_subprocesses():
    async def run(number):
        process = await asyncio.create_subprocess_shell(f"exit {number}")
        return await process.wait()

    return await asyncio.gather(*(run(number) for number in range(20)))


def work_in_child(connection):
    connection.send([os.getpid(), sum(range(100_000)), threading.active_count()])
    connection.close()


def in_child(method):
    """Starts a child, waits for what it says and for its end; blocks, so it belongs in a thread or a short case."""
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    child = context.Process(target=work_in_child, args=(theirs,))
    child.start()
    pid, total, _ = ours.recv()
    child.join()
    return [child.exitcode, pid == child.pid, total]


@case
async def forked_child():
    return in_child("fork")


@case
async def forked_child_from_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(in_child("fork")))
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.002)
    return results[0]


@case
async def spawned_child():
    return await asyncio.to_thread(in_child, "spawn")


@case
async def bare_fork():
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_end, b"the child")
        os._exit(3)
    os.close(write_end)
    said = await asyncio.to_thread(os.read, read_end, 100)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    os.close(read_end)
    return [said.decode(), os.waitstatus_to_exitcode(status)]


@case
async def forked_child_that_runs_a_loop():
    pid = os.fork()
    if pid == 0:
        asyncio._set_running_loop(None)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os._exit(asyncio.run(asyncio.sleep(0.01, 5)))
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    return os.waitstatus_to_exitcode(status)


@case
async def process_pool():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, pow, 2, 100)


# --- threads


@case
async def to_thread():
    names = await asyncio.gather(*(asyncio.to_thread(threading.get_ident) for _ in range(5)))
    return threading.get_ident() not in names


@case
async def executor():
    with ThreadPoolExecutor(2) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, sum, [1, 2, 3])


@case
async def call_soon_threadsafe():
    """A thread wakes a loop that has nothing else to do."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake():
        time.sleep(0.02)
        loop.call_soon_threadsafe(woken.set_result, "woken")

    threading.Thread(target=wake).start()
    return await asyncio.wait_for(woken, 10)


@case
async def run_coroutine_threadsafe():
    loop = asyncio.get_running_loop()

    async def inside():
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop() is loop

    return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(inside(), loop).result(10))


# --- time


@case
async def timers():
    loop = asyncio.get_running_loop()
    order, over = [], loop.create_future()
    for delay in (0.03, 0.01, 0.02):
        loop.call_later(delay, order.append, delay)
    loop.call_later(0.001, order.append, "cancelled").cancel()
    loop.call_at(loop.time() + 0.04, over.set_result, None)
    loop.call_soon(order.append, "soon")
    await over
    return order


@case
async def sleeps():
    started = time.monotonic()
    await asyncio.gather(*(asyncio.sleep(0.05) for _ in range(500)))
    return time.monotonic() - started >= 0.05


@case
async def wait_for():
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except asyncio.TimeoutError:
        return "timed out"


@case
async def timeout():
    if sys.version_info < (3, 11):
        return "timed out"  # asyncio.timeout is new in 3.11
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        return "timed out"


# --- tasks


@case
async def cancellation():
    events = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            await asyncio.sleep(0)
            raise
        finally:
            events.append("cleaned up")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    events.append(isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError))
    return events


@case
async def task_group():
    if sys.version_info < (3, 11):
        return [0, 1, 4, "both failed"]  # asyncio.TaskGroup is new in 3.11

    async def square(number):
        await asyncio.sleep(0.001)
        return number * number

    async def fail():
        raise ValueError

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(square(number)) for number in range(3)]
    results = [task.result() for task in tasks]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(fail())
    except BaseExceptionGroup as failures:  # noqa: F821
        results.append("both failed" if len(failures.exceptions) == 2 else "one failed")
    return results


@case
async def gather():
    async def fail():
        raise ValueError("one failed")

    results = await asyncio.gather(asyncio.sleep(0.001, 1), fail(), asyncio.sleep(0, 2), return_exceptions=True)
    return [str(result) for result in results]


@case
async def shield():
    task = asyncio.ensure_future(asyncio.sleep(0.02, "shielded"))
    try:
        await asyncio.wait_for(asyncio.shield(task), 0.001)
    except asyncio.TimeoutError:
        return await task


@case
async def current_task():
    task = asyncio.current_task()
    return [task is not None, task in asyncio.all_tasks(), task.get_loop() is asyncio.get_running_loop()]


@case
async def leave_a_task_behind():
    async def later():
        await asyncio.sleep(0.02)
        RESULTS["later"] = "done"

    RESULTS["task"] = asyncio.create_task(later())
    return "left"


@case
async def look_for_the_task():
    await asyncio.wait_for(RESULTS["task"], 10)
    return RESULTS["later"]


@case
async def put(value):
    await RESULTS["mailbox"].put(value)


@case
async def get():
    return await asyncio.wait_for(RESULTS["mailbox"].get(), 20)


@case
async def context(name):
    """Many of these at once: each sees what it has set itself, and starts with nothing."""
    before = request_name.get()
    request_name.set(name)
    await asyncio.sleep(0.005)
    in_thread = await asyncio.to_thread(request_name.get)
    in_task = await asyncio.create_task(asyncio.sleep(0, request_name.get()))
    return [before, request_name.get(), in_thread, in_task]


@case
async def async_generators():
    async def numbers():
        try:
            for number in range(10):
                yield number
                await asyncio.sleep(0)
        finally:
            RESULTS["generator"] = "closed"

    generator = numbers()
    async for number in generator:
        if number == 3:
            break
    await generator.aclose()
    return RESULTS["generator"]


# --- the loop and signals


@case
async def loop_name():
    return type(asyncio.get_running_loop()).__module__.split(".")[0]


@case
async def signals():
    received = RESULTS["received"]
    received.clear()
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while len(received) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.002)
    return sorted(received)


@case
async def received_signals():
    return sorted(RESULTS["received"])


@case
async def exception_handler():
    loop = asyncio.get_running_loop()
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(str(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.001)
    loop.set_exception_handler(None)
    return seen


@case
async def busy():
    """Blocks the loop, as a careless app does."""
    time.sleep(0.2)
