"""Cases: subprocesses, forks, pools and threads."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from cases import case

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


LIST_DESCRIPTORS = """
import os, socket, sys
found = []
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        link = os.readlink(f"/proc/self/fd/{fd}")
        internet = link.startswith("socket:") and socket.socket(fileno=os.dup(fd)).family != socket.AF_UNIX
        found += [link] if internet or link.startswith("anon_inode:") else []
    except FileNotFoundError:
        pass
print(found, end="")
"""


@case
async def inherited_descriptors():
    """Neither a socket nor an epoll set of the server may reach a program that the app starts."""
    command = [sys.executable, "-c", LIST_DESCRIPTORS]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, close_fds=False)
    return (await process.communicate())[0].decode()


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
    """Starts a child, waits for its output and its exit. It blocks, so call it in a thread or a short case."""
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
