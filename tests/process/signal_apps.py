"""What an app may do with signals while it is served; each function is a request."""

import asyncio
import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time

CALLED = []  # numbers of the signals whose handlers ran
AT_START = (signal.SIGUSR2, signal.SIGURG)


def note(number, frame):
    CALLED.append(number)
    os.write(2, b"handler of %d\n" % number)


if os.environ.get("EARLY"):  # before the core is loaded
    for one in AT_START:
        signal.signal(one, note)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        if not os.environ.get("EARLY"):
            for number in AT_START:
                signal.signal(number, note)
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    body = await globals()[scope["path"][1:]]()
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def hello():
    return b"hello"


async def handlers():
    """Whether signals that the server must not touch have the interpreter's disposition, or the one the app has set."""
    expected = {
        signal.SIGPIPE: signal.SIG_IGN,
        signal.SIGCHLD: signal.SIG_DFL,
        signal.SIGUSR2: note,
        signal.SIGURG: note,
    }
    return repr([signal.getsignal(number) == handler for number, handler in expected.items()]).encode()


async def loop_handler():
    """A handler of the loop."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, came.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(came.wait(), 20)
    loop.remove_signal_handler(signal.SIGUSR1)
    return b"came"


async def wakeup_fd():
    """The app's own wake-up descriptor gets the number of each signal."""
    ours, theirs = os.pipe2(os.O_NONBLOCK)
    before = signal.set_wakeup_fd(theirs)
    signal.signal(signal.SIGUSR1, note)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.05)
        return b"%d" % os.read(ours, 10)[0]
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        os.close(ours)
        os.close(theirs)


async def children():
    """Many children at a time, waited for as asyncio does on this Python."""

    async def one(number):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-Ic", f"print({number}); exit({number})", stdout=-1
        )
        out, _ = await process.communicate()
        return process.returncode == int(out) == number

    return repr(all(await asyncio.gather(*map(one, range(12))))).encode()


async def sigchld():
    """The app's own handler for SIGCHLD, as older child watchers have it."""
    signal.signal(signal.SIGCHLD, note)
    try:
        process = subprocess.Popen([sys.executable, "-Ic", "exit(7)"])
        while signal.SIGCHLD not in CALLED:
            await asyncio.sleep(0.01)
        return b"%d" % process.wait()
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


async def profile():
    """A statistical profiler with SIGPROF, and a storm of SIGALRM, while requests are served."""
    count = {signal.SIGPROF: 0, signal.SIGALRM: 0}

    def tick(number, frame):
        count[number] += 1

    for number, timer in ((signal.SIGPROF, signal.ITIMER_PROF), (signal.SIGALRM, signal.ITIMER_REAL)):
        signal.signal(number, tick)
        signal.setitimer(timer, 0.001, 0.001)
    try:
        end = time.monotonic() + 20
        while min(count.values()) < 100 and time.monotonic() < end:
            sum(range(20000))
            await asyncio.sleep(0)
        return repr(min(count.values()) >= 100).encode()
    finally:
        for number, timer in ((signal.SIGPROF, signal.ITIMER_PROF), (signal.SIGALRM, signal.ITIMER_REAL)):
            signal.setitimer(timer, 0)
            signal.signal(number, signal.SIG_IGN)


async def broken_pipe():
    """Writing to a closed pipe raises and does not end the process; a child has the default disposition."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    except BrokenPipeError:
        status = subprocess.run(
            "yes | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}", shell=True, executable="/bin/bash", stdout=-1
        )
        return b"BrokenPipeError " + status.stdout.strip()
    finally:
        os.close(writer)


async def own_dump():
    """faulthandler on a signal that the app chooses."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.kill(os.getpid(), signal.SIGUSR1)
    faulthandler.unregister(signal.SIGUSR1)
    return b"dumped"


async def fault():
    """A real crash."""
    ctypes.string_at(0)
