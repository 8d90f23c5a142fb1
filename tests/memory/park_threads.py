"""Programs of park_programs.py that have other threads."""

import contextlib
import ctypes
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from canary import Canary, park, parked, refused

from saltare.memory import park as parking

FUTEX = ("202", "98")  # its number, on x86-64 and aarch64


def idle_pool(folder, library):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        barrier = threading.Barrier(8)
        assert sorted(pool.map(lambda i: (barrier.wait(), i)[1], range(8))) == list(range(8))
        canary = parked(folder)
        assert sorted(pool.map(lambda i: (barrier.wait(), i)[1], range(8))) == list(range(8))
    canary.check()
    print("right")


def busy_threads(folder, library):
    """They allocate and write continuously, without the GIL."""
    for number in range(6):
        assert library.start_busy(number + 1) == 0
    refused(folder)
    before = library.rounds_done()
    while library.rounds_done() < before + 50_000:
        time.sleep(0.01)
    library.stop_all()
    assert library.rounds_wrong() == 0


def wait_for_sleep(thread):
    """Waits until it sleeps in a system call."""
    call = Path(f"/proc/self/task/{thread.native_id}/syscall")
    while call.read_text().startswith(("running", "-1")):
        time.sleep(0.001)


def long_read(folder, library):
    """A thread sleeps in read(2) with a buffer in the memory to be parked."""
    reading, writing = os.pipe()
    got = []
    thread = threading.Thread(target=lambda: got.append(os.read(reading, 300)))
    thread.start()
    wait_for_sleep(thread)
    refused(folder)
    os.write(writing, b"x" * 300)
    thread.join()
    assert got == [b"x" * 300]


def waits(folder, library):
    """Threads in Python's waits: their locks are in the memory to be parked."""
    event, condition, results = threading.Event(), threading.Condition(), []

    def with_event():
        event.wait()
        results.append("event")

    def with_condition():
        with condition:
            results.append(condition.wait())

    threads = [threading.Thread(target=one) for one in (with_event, with_condition)]
    for thread in threads:
        thread.start()
        wait_for_sleep(thread)
    parked(folder).check()
    event.set()
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["True", "event"]
    print("right")


def wait_with_timeout(folder, library):
    """Python would restart it, but it cannot be told apart from a library's call."""
    event = threading.Event()
    thread = threading.Thread(target=event.wait, args=(3600,))
    thread.start()
    wait_for_sleep(thread)
    refused(folder)
    event.set()
    thread.join()


def beside_sleeper(folder, library):
    """The thread of a native library sleeps in SLEEPER; it is not interrupted."""
    sleepers, kind = ctypes.CDLL(os.environ["SLEEPERS"]), os.environ["SLEEPER"].encode()
    canary = parked(folder)
    assert sleepers.start_sleeper(kind) == 0
    assert kind != b"turns" or sleepers.start_sleeper(b"other_turns") == 0
    while sleepers.rounds_slept(kind) < 200:
        parking.repark()
        with contextlib.suppress(RuntimeError):
            parking.repark_slice(0, 64)
    canary.check()
    assert sleepers.times_interrupted(kind) == 0, sleepers.times_interrupted(kind)
    print("right")


def waits_in_join(thread):
    """Whether it sleeps in that call, and not in a timed wait for the GIL on its way. Source: proc(5), syscall."""
    frame = sys._current_frames()[thread.ident]
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    with open(f"/proc/self/task/{thread.native_id}/syscall") as file:
        number, *arguments = file.read().split()
    return "join" in names and number in FUTEX and int(arguments[3], 16) == 0


def from_a_thread(folder, library):
    """The main thread is one of the held threads."""
    done = []

    def begin():
        while not waits_in_join(threading.main_thread()):
            time.sleep(0.001)
        done.append(park(folder))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert done[0] > 20
    Canary.now.check()
    print("right")


def deaf_thread(folder, library):
    library.start_deaf()
    refused(folder)


def thread_on_heap(folder, library):
    library.start_on_heap()
    refused(folder)


def suspended_thread(folder, library):
    library.start_suspended()
    refused(folder)


def bundled_allocator(folder, library):
    assert library.pool_fill() == 0
    parked(folder).check()
    assert library.pool_dirty_after_giving_up() == 0
    print("right")
