"""Programs of park_programs.py whose pages return to the file, or are shared through the pool."""

import ctypes
import gc
import itertools
import mmap
import os
import random
import sys
import threading
import time
import traceback
import types
import weakref
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from canary import Canary, inode_at, parked, private, resident, rss

from saltare import _process
from saltare.memory import park as parking


def repark(folder, library):
    """Pages that Python only read, and so wrote to briefly, return to the file; changed pages stay."""
    canary = parked(folder)
    for _ in range(5):
        canary.check()
        canary.churn(50)
        before = private()
        returned = parking.repark()
        assert returned > 128 << 10, returned
        assert private() < before
        canary.check()
    pid = os.fork()
    if pid == 0:
        canary.check()
        canary.churn(200)
        assert parking.repark() > 128 << 10
        canary.check()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    held = sum("rw-p" in line and line.endswith(" 0 \n") for line in open("/proc/self/maps"))
    for _ in range(50):
        parking.repark()
    assert held + 5 > sum("rw-p" in line and line.endswith(" 0 \n") for line in open("/proc/self/maps"))
    canary.check()
    print("right")


def repark_beside_others(folder, library):
    """While threads write continuously, some of them Python's, no page returns to the file and nothing is lost."""
    canary = parked(folder)
    for number in range(6):
        assert library.start_busy(number + 1) == 0
    mine = [Canary(1 << 20, seed) for seed in range(3)]
    stop = threading.Event()

    def go_on(own):
        while not stop.is_set():
            own.churn(20)
            own.check()

    threads = [threading.Thread(target=go_on, args=(own,)) for own in mine]
    for thread in threads:
        thread.start()
    for _ in range(10):
        canary.check()
        assert parking.repark() == 0
    stop.set()
    for thread in threads:
        thread.join()
    library.stop_all()
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.01)
    assert library.rounds_wrong() == 0
    canary.check()
    assert parking.repark() > 128 << 10
    for own in (canary, *mine):
        own.check()
    print("right")


def repark_in_slices(folder, library):
    """Each call checks that many pages at most, and together they release what one call would."""
    canary = parked(folder)
    canary.check()
    begin, held, pages = 0, [private()], 10
    while begin != 0 or len(held) == 1:
        begin = parking.repark_slice(begin, pages)
        held.append(private())
    given_back = [then - now for then, now in itertools.pairwise(held)]
    assert len(given_back) > 10 and max(given_back) <= pages * 4 + 16, given_back
    assert sum(given_back) > 128, given_back
    canary.check()
    print("right")


def unmaps_what_was_read(folder, library):
    """Pages that were only read leave the process; pages that were written to stay."""
    blocks = [bytearray(random.randbytes(100_000)) for _ in range(100)]  # less than malloc maps by itself
    sums = [sum(block) for block in blocks]
    parked(folder)
    parking.repark()
    bare = rss()
    assert [sum(block) for block in blocks] == sums
    for block in blocks:
        block[50_000] ^= 1
    read = rss() - bare
    assert read > 9000, read
    parking.repark()
    assert rss() - bare < 2000, rss() - bare
    for block in blocks:
        block[50_000] ^= 1
    assert [sum(block) for block in blocks] == sums
    print("right")


def looks_like_a_counter(folder, library):
    """A changed page of data stays, even where the change looks like one of a counter."""
    data = bytearray(1 << 20)
    address = ctypes.addressof(ctypes.c_char.from_buffer(data))
    pages = range(-address % 4096, len(data) - 4096, 4096)
    for page in pages:
        data[page : page + 8] = sys.getrefcount("__init__").to_bytes(8, "little")
        data[page + 8 : page + 16] = id(types.CodeType).to_bytes(8, "little")  # the type, and co_warmup below
        data[page + 52 : page + 54] = b"\x01\x00"
    parked(folder)
    kept = sys.getrefcount("__init__").to_bytes(8, "little")
    for page in pages[::2]:
        data[page + 52] = 2
    for page in pages[1::2]:
        data[page : page + 8] = kept
    parking.repark()
    assert all(data[page + 52] == 2 for page in pages[::2])
    assert all(data[page : page + 8] == kept for page in pages[1::2])
    print("right")


def counters(folder, library):
    """Calling functions keeps none of their pages, although Python 3.11 has counted the calls in their code."""
    check_counters(folder, 2000, "".join(f"    x = x + {n} if x > {n} else x - 1\n" for n in range(40)))


def counters_in_arenas(folder, library):
    """The same of functions whose code is small, so that it lies far from malloc's heap."""
    check_counters(folder, 20_000, "    x = x + 1\n")


def check_counters(folder, count, body):
    namespace = {}
    exec("".join(f"def f{n}(x):\n{body}    return x\n" for n in range(count)), namespace)
    functions = [namespace.pop(f"f{n}") for n in range(count)]
    parked(folder)
    before = private()
    results = [function(5) for function in functions]
    written = private() - before
    assert written > 2000, written
    parking.repark()
    assert private() - before < written / 5, (written, private() - before)
    assert [function(5) for function in functions] == results

    # Specialized code stays: that is more than a counter.
    warm = functions[:100]
    for function in warm * 50:
        function(5)
    specialized = [function.__code__._co_code_adaptive for function in warm]
    assert all(function.__code__.co_code != code for function, code in zip(warm, specialized, strict=True))
    parking.repark()
    assert [function.__code__._co_code_adaptive for function in warm] == specialized
    assert [function(5) for function in functions] == results

    # Nothing else ever has the address of a counter.
    code = [weakref.ref(function.__code__) for function in functions]
    namespace = function = None
    del functions, warm
    gc.collect()
    assert all(one() is not None for one in code)
    print("right")


def references(folder, library):
    """References to names keep none of their pages, and names outlive all that is done to their counts (until 3.11)."""
    names = [sys.intern(f"name_{n}") for n in range(50_000)]
    keys = dict.fromkeys(names, names)  # where the names are found, since the collector tracks it
    parked(folder)
    before = private()
    kept = list(names)
    assert all(sys.getrefcount(name) > 1 << 59 for name in names)
    written = private() - before
    assert written > 2000, written
    parking.repark()
    assert private() - before < written / 2, (written, private() - before)
    for _ in range(3):
        kept = None  # of counts that were reset
        parking.repark()
        kept = list(names)
    assert list(keys) == names
    del kept, names, keys
    gc.collect()
    assert [sys.intern(f"name_{n}") for n in range(50_000)] == [f"name_{n}" for n in range(50_000)]
    print("right")


def attributes(folder, library):
    """The cache of attributes, whose pages nearly every look-up changes, is emptied, so that they go back (since 3.11)."""
    parked(folder)
    names = [f"attribute_{n}" for n in range(4000)]
    one = type("One", (), dict.fromkeys(names, 1))
    before = sum(map(sys.getrefcount, names))
    assert sum(getattr(one, name) for name in names) == 4000
    assert sum(map(sys.getrefcount, names)) > before + 100  # those in the cache
    parking.repark()
    assert sum(map(sys.getrefcount, names)) <= before
    assert sum(getattr(one, name) for name in names) == 4000
    print("right")


def room_is_not_moved(folder, library):
    """Pages of zeros are not written to the file: they are like untouched pages."""
    room = bytearray(b"x") * (1 << 20)
    for at in range(0, len(room), 4096):
        room[at : at + 4096] = bytes(4096)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(room))
    assert resident(begin, len(room)) > 900 << 10
    parked(folder)
    assert resident(begin, len(room)) < 100 << 10
    assert inode_at(begin + len(room) // 2) == 0
    assert not any(room)
    room[:] = b"y" * len(room)
    parking.repark()
    assert room == b"y" * len(room)
    Canary.now.check()
    print("right")


class Changed:
    """A block of pages that processes change, identically and each for itself."""

    PAGE = 4096
    PAGES = 2048

    def __init__(self):
        self.data = bytearray(random.Random(5).randbytes((self.PAGES + 1) * self.PAGE))

    def begin(self, number):
        self.number = number
        self.expected = [bytes(self.data[self.place(at)]) for at in range(self.PAGES)]

    def place(self, at):
        begin = -(id(self.data) + 64) % self.PAGE + at * self.PAGE  # wherever pages begin
        return slice(begin, begin + self.PAGE)

    def change(self, at, what):
        new = {"alike": b"%d alike" % at, "zero": b"", "own": b"%d of %d" % (at, self.number)}[what]
        self.expected[at] = new.ljust(self.PAGE, b"\0")
        self.data[self.place(at)] = self.expected[at]

    def check(self):
        for at, expected in enumerate(self.expected):
            assert self.data[self.place(at)] == expected, (self.number, at)


def in_turn(number, pipes, work):
    """Forks a child that works and reports ints; it starts, and continues after each int, when it is written to."""
    reader, writer = os.pipe()
    go, gone = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _process.die_with_parent()
            assert os.read(go, 1) == b"1"
            for found in work(number):
                os.write(writer, b"%d\n" % found)
                assert os.read(go, 1) == b"1"
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    os.close(go)
    pipes.append((pid, gone, open(reader)))


class Barrier:
    """Processes leave it within a microsecond of each other."""

    def __init__(self, parties):
        self.rounds, self.parties = mmap.mmap(-1, parties), parties

    def wait(self, number):
        self.rounds[number] += 1
        end = time.monotonic() + 20
        while min(bytes(self.rounds)[: self.parties]) < self.rounds[number]:
            assert time.monotonic() < end


def alike(folder, library):
    """Identical changes of several processes are stored once; a change of one process is its own."""
    changed = Changed()
    barrier = Barrier(4)
    canary = parked(folder)
    parking.open_pool()

    def work(number):
        changed.begin(number)
        for at in range(1024):
            changed.change(at, "alike")
        for at in range(1024, 1152):
            changed.change(at, "own" if number % 2 else "zero")
        own = os.fork()
        if own == 0:
            time.sleep(0.3)  # meanwhile its parent releases pages
            changed.check()
            os._exit(0)
        parking.repark()
        assert os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]) == 0
        before = private()
        parking.repark()  # only now: a page that a child still has is not exclusively ours
        yield before - private()
        changed.check()
        for rounds in range(40):
            for at in range(1152 + 22 * rounds, 1174 + 22 * rounds):  # never changed before
                changed.change(at, "own")
            for at in range(rounds, 1152, 7 + number):
                changed.change(at, ("alike", "zero", "own", "alike")[(rounds + at) % 4])
            barrier.wait(number)
            parking.repark()
            barrier.wait(number)
            changed.check()
        canary.check()
        canary.churn(200)
        parking.repark()
        canary.check()
        yield 0

    pipes = []
    for number in range(4):
        in_turn(number, pipes, work)
    for _, gone, answers in pipes:
        os.write(gone, b"1")
        given_back = int(answers.readline())
        assert given_back > 1000 * 4, given_back
    for _, gone, _ in pipes:  # now all at once
        os.write(gone, b"1")
    assert [answers.readline() for _, _, answers in pipes] == ["0\n"] * 4
    for pid, gone, _ in pipes:
        os.write(gone, b"1")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    canary.check()
    print("right")


def sealed_pool(folder, library):
    """Pages in the pool stay shared; none is added."""
    changed = Changed()
    parked(folder)
    parking.open_pool()

    def work(first, last):
        def change(number):
            changed.begin(number)
            for at in range(first, last):
                changed.change(at, "alike")
            before = private()
            parking.repark()
            yield before - private()
            changed.check()

        return change

    pipes = []
    in_turn(0, pipes, work(0, 1000))
    in_turn(1, pipes, work(500, 1500))
    for at, (pid, gone, answers) in enumerate(pipes):
        os.write(gone, b"1")
        given_back = int(answers.readline())
        assert (900 * 4 < given_back) if at == 0 else (400 * 4 < given_back < 700 * 4), (at, given_back)
        parking.seal_pool()
        os.write(gone, b"1")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    print("right")
