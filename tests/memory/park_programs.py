"""Programs that park their memory and then stress it: `park_programs.py NAME FOLDER [LIBRARY]`.

With "memory" as the folder they share it as a master does. Each prints its findings, and fails with an AssertionError
when a byte is wrong. ctypes' LIBRARY has the functions of threads.c.
"""

import ctypes
import gc
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import park_again
import park_refusals
import park_threads
from canary import Canary, go_on, park, parked, private

from saltare import _memory
from saltare.memory import park as parking

FUTEX = ("202", "98")  # system call number of futex, on x86-64 and aarch64


def give_way(folder, library):
    """Parked memory is no longer private memory of the process until it is written to."""
    gc.collect()
    gc.freeze()
    _memory.trim()
    before = private()
    parked = parking.parked_in(folder) / 1024
    after = private()
    assert 20_000 < 0.95 * parked < before - after, (before, after, parked)
    Canary.now.check()
    print("right")


def allocate(folder, library):
    """Everything that releases memory or requests more."""
    canary = parked(folder)
    for _ in range(5):
        canary.churn(3000)
        large = [bytes([i]) * (1 << 20) for i in range(20)]
        many = [str(i) * 3 for i in range(300_000)]  # new arenas are mapped
        assert all(block == bytes([i]) * (1 << 20) for i, block in enumerate(large))
        assert all(text == str(i) * 3 for i, text in enumerate(many))
        del large, many  # and unmapped
        gc.collect()
        _memory.trim()
        canary.check()
    Canary.now = None
    kept, canary.kept = canary.kept, {}
    kept.clear()  # the parked arenas are freed as well
    gc.collect()
    _memory.trim()
    Canary(8 << 20, seed=2).check()
    print("right")


def partly(folder, library):
    """Only a part of it could be mapped."""
    assert park(folder) > 0
    Canary.now.check()
    go_on()


def variables(folder, library):
    """The interpreter's variables are parked with the rest, and work."""
    canary = parked(folder)
    name = "saltare-heap" if folder == "memory" else str(folder)

    def mapping(address):
        for row in Path("/proc/self/maps").read_text().splitlines():
            start, end = (int(part, 16) for part in row.split()[0].split("-"))
            if start <= address < end:
                return row
        return ""

    assert name in mapping(id(type)) and name in mapping(id(int)), mapping(id(type))
    for number in range(200):
        kind = type(f"Kind{number}", (int, Exception)[number % 2 : number % 2 + 1], {})
        assert isinstance(kind(3), kind) and kind in kind.__base__.__subclasses__()
        assert int.__subclasscheck__(bool) and sys.intern(f"a new name {number}") is sys.intern(f"a new name {number}")
        threads = [threading.Thread(target=canary.check) for _ in range(2)] if number % 50 == 0 else []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if number % 20 == 0:
            parking.repark()
            if os.fork() == 0:
                canary.check()
                parking.repark()
                canary.check()
                os._exit(0)
            assert os.wait()[1] == 0
    canary.check()
    print("right")


def lie_together(folder, library):
    """New objects share no pool with old ones, whatever their size."""
    old = [bytes(size) for _ in range(3000) for size in range(0, 470, 16)]
    del old[::2], old[::3]  # holes everywhere
    gc.collect()
    _memory.start_fresh()
    pools = {id(one) >> 14 for one in old}
    new = [bytes(size) for _ in range(100) for size in range(0, 470, 16)]
    assert not pools & {id(one) >> 14 for one in new}
    assert len({id(one) >> 14 for one in new}) < 2 * sum(map(sys.getsizeof, new)) >> 14
    print("right")


def collect(folder, library):
    canary = parked(folder)
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    gc.collect()
    canary.check()
    gc.unfreeze()
    assert gc.get_freeze_count() == 0
    for _ in range(3):
        gc.collect()
    canary.check()
    print("right")


def fork(folder, library):
    canary = parked(folder)
    import subprocess

    for number in range(10):
        pid = os.fork()
        if pid == 0:
            canary.check()
            canary.churn(500)
            gc.collect()
            canary.check()
            os._exit(number)
        canary.churn(100)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == number
    said = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True)
    assert said.stdout == "42\n"
    assert subprocess.run("exit 7", shell=True).returncode == 7
    canary.check()
    print("right")


def execute(folder, library):
    parked(folder).check()
    os.execv("/bin/echo", ["echo", "right"])


def week(folder, library):
    """A week's churn, as long as PARK_CHURN_SECONDS says."""
    canary = parked(folder)
    end = time.monotonic() + float(os.environ.get("PARK_CHURN_SECONDS", "3"))
    rounds = 0
    while time.monotonic() < end or rounds < 10:
        canary.churn(400)
        rounds += 1
        if rounds % 10 == 0:
            canary.check()
            gc.collect()
            _memory.trim()
        if rounds % 25 == 0:
            thread = threading.Thread(target=canary.check)
            thread.start()
            thread.join()
    canary.check()
    assert canary.random.random() != 0
    print("right")


def leave(folder, library):
    """The interpreter ends with everything still alive."""
    import atexit

    canary = parked(folder)
    atexit.register(lambda: (canary.check(), print("right")))
    canary.cycle = canary


def crash(folder, library):
    import faulthandler

    faulthandler.enable()
    parked(folder).check()
    ctypes.string_at(8)


def abort(folder, library):
    import faulthandler

    faulthandler.enable()
    parked(folder).check()
    os.abort()


def dump(folder, library):
    import faulthandler
    import signal

    canary = parked(folder)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.kill(os.getpid(), signal.SIGUSR1)
    canary.check()
    print("right")


def wait(folder, library):
    """For debuggers: prints its pid, then waits for a line."""
    canary = parked(folder)

    def here_we_wait():
        print("waiting", flush=True)
        sys.stdin.readline()

    here_we_wait()
    canary.check()
    print("right")


def trace(folder, library):
    import tracemalloc

    tracemalloc.start()
    canary = Canary(4 << 20, seed=3)
    parked(folder).check()
    canary.check()
    assert tracemalloc.get_traced_memory()[0] > 1 << 20
    tracemalloc.stop()
    canary.churn(1000)
    canary.check()
    print("right")


PROGRAMS = (sys.modules[__name__], park_again, park_threads, park_refusals)


def main(name, folder, library=None):
    _memory.configure()
    if not os.environ.get("UNPREPARED"):
        parking.prepare()
    Canary.now = Canary()
    run = next(vars(one)[name] for one in PROGRAMS if name in vars(one))
    run(folder, library and ctypes.CDLL(library))


if __name__ == "__main__":
    main(*sys.argv[1:])
