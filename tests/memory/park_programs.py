"""Programs that park their memory and then do what is hard on it: `park_programs.py NAME FOLDER [LIBRARY]`. Per process.

With "memory" as the folder they share it as a master does. Each prints what it has found, and ends with an AssertionError when
a byte is wrong. Names in ctypes' LIBRARY are those of threads.c.
"""

import contextlib
import ctypes
import gc
import hashlib
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

from saltare import _memory, _process
from saltare.memory import park as parking

FUTEX = ("202", "98")  # its number, on x86-64 and aarch64
PAGES_EACH = 24 << 20  # bytes of Python objects that every program has, small ones and large ones


class Canary:
    """Objects of every size, with a digest of what they hold."""

    def __init__(self, size=PAGES_EACH, seed=1):
        self.random = random.Random(seed)
        self.kept = {}
        while size > 0:
            size -= self.add()

    def add(self):
        length = self.random.choice((8, 30, 100, 400, 600, 3000, 20_000, 200_000))
        data = self.random.randbytes(length)
        about = {"text": data.hex(), "digest": hashlib.sha256(data).digest()}
        self.kept[len(self.kept)] = (data, bytearray(data), about)
        return 5 * length + 500

    def check(self):
        for data, copy, about in self.kept.values():
            assert data == copy and about["text"] == data.hex()
            assert about["digest"] == hashlib.sha256(data).digest()

    def churn(self, steps):
        for _ in range(steps):
            at = self.random.randrange(len(self.kept))
            data = self.random.randbytes(self.random.choice((10, 70, 300, 511, 513, 5000, 100_000, 300_000)))
            _, copy, about = self.kept.pop(at)
            copy[:] = data  # realloc
            about.update(text=data.hex(), digest=hashlib.sha256(data).digest())
            self.kept[at] = (data, copy, about)


def private():
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))


def park(folder):
    """Returns the MiB parked; RuntimeError or parking.NotParked otherwise."""
    gc.collect()
    _memory.record_counters()
    _memory.start_fresh()
    gc.freeze()
    _memory.trim()
    return (parking.shared() if folder == "memory" else parking.parked_in(folder)) / (1 << 20)


def parked(folder):
    assert park(folder) > 20
    return Canary.now


def give_way(folder, library):
    """What is parked is the process's own memory no more, until it is written to."""
    gc.collect()
    gc.freeze()
    _memory.trim()
    before = private()
    parked = parking.parked_in(folder) / 1024
    after = private()
    assert 20_000 < 0.95 * parked < before - after, (before, after, parked)
    Canary.now.check()
    print("right")


# ---- what goes on afterwards ---------------------------------------------------------------------------------------


def allocate(folder, library):
    """Everything that gives memory back or asks for more."""
    canary = parked(folder)
    for _ in range(5):
        canary.churn(3000)
        large = [bytes([i]) * (1 << 20) for i in range(20)]
        many = [str(i) * 3 for i in range(300_000)]  # arenas come
        assert all(block == bytes([i]) * (1 << 20) for i, block in enumerate(large))
        assert all(text == str(i) * 3 for i, text in enumerate(many))
        del large, many  # and go
        gc.collect()
        _memory.trim()
        canary.check()
    Canary.now = None
    kept, canary.kept = canary.kept, {}
    kept.clear()  # the parked arenas go as well
    gc.collect()
    _memory.trim()
    Canary(8 << 20, seed=2).check()
    print("right")


def partly(folder, library):
    """Not all of it could be mapped."""
    assert park(folder) > 0
    Canary.now.check()
    go_on()


def go_on():
    """As a process does of whose heap a part is parked."""
    for _ in range(3):
        Canary.now.churn(1000)
        gc.collect()
        _memory.trim()
    Canary.now.check()
    print("right")


def variables(folder, library):
    """Those of the interpreter are parked with the rest, and work."""
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


def half(folder, library):
    """There was no room for more of it."""
    file_limit(folder, library)
    assert "saltare-heap" in Path("/proc/self/maps").read_text()
    go_on()


def lie_together(folder, library):
    """New objects lie in no pool that has old ones, of whatever size they are."""
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


def repark(folder, library):
    """What was read in Python, and so written to for a moment, goes back; what was changed stays."""
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
    """While threads write at every moment, some of them Python's, nothing goes back, and nothing is lost."""
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
    """Each looks at so many pages and no more, and together they give back what one call would."""
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


def looks_like_a_counter(folder, library):
    """A page of data that has changed stays as it is, also where that looks like a code object's count of its calls (3.11)."""
    data = bytearray(1 << 20)
    address = ctypes.addressof(ctypes.c_char.from_buffer(data))
    pages = range(-address % 4096, len(data) - 4096, 4096)
    for page in pages:
        data[page + 8 : page + 16] = id(types.CodeType).to_bytes(8, "little")  # the type, and below co_warmup
        data[page + 52 : page + 54] = b"\x01\x00"
    parked(folder)
    for page in pages:
        data[page + 52] = 2
    parking.repark()
    assert all(data[page + 52] == 2 for page in pages)
    print("right")


def counters(folder, library):
    """To have called functions keeps none of their pages, although Python 3.11 has counted the calls in their code."""
    namespace = {}
    body = "".join(f"    x = x + {n} if x > {n} else x - 1\n" for n in range(40))
    exec("".join(f"def f{n}(x):\n{body}    return x\n" for n in range(2000)), namespace)
    functions = [namespace.pop(f"f{n}") for n in range(2000)]
    parked(folder)
    before = private()
    results = [function(5) for function in functions]
    written = private() - before
    assert written > 2000, written
    parking.repark()
    assert private() - before < written / 5, (written, private() - before)
    assert [function(5) for function in functions] == results

    # What has been specialized stays so: that is more than a counter.
    warm = functions[:100]
    for function in warm * 50:
        function(5)
    specialized = [function.__code__._co_code_adaptive for function in warm]
    assert all(function.__code__.co_code != code for function, code in zip(warm, specialized, strict=True))
    parking.repark()
    assert [function.__code__._co_code_adaptive for function in warm] == specialized
    assert [function(5) for function in functions] == results

    # A counter's address is never that of anything else.
    code = [weakref.ref(function.__code__) for function in functions]
    namespace = function = None
    del functions, warm
    gc.collect()
    assert all(one() is not None for one in code)
    print("right")


def room_is_not_moved(folder, library):
    """Pages that hold nothing but zeros do not come into the file: they are as if nobody had touched them."""
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


def resident(begin, size):
    """Bytes of memory that there are for a range of addresses."""
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(begin // 4096 * 8)
        entries = pagemap.read((begin + size) // 4096 * 8 - begin // 4096 * 8)
    return 4096 * sum(byte >> 7 for byte in entries[7::8])


def inode_at(address):
    """Of the file that is mapped at an address; 0: none."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(number, 16) for number in line.split()[0].split("-"))
        if begin <= address < end:
            return int(line.split()[4])
    raise AssertionError(f"nothing is mapped at {address:#x}")


class Changed:
    """A block of pages that processes change, alike and each for itself."""

    PAGE = 4096
    PAGES = 2048

    def __init__(self):
        self.data = bytearray(random.Random(5).randbytes((self.PAGES + 1) * self.PAGE))

    def begin(self, number):
        self.number = number
        self.expected = [bytes(self.data[self.place(at)]) for at in range(self.PAGES)]

    def place(self, at):
        begin = -(id(self.data) + 64) % self.PAGE + at * self.PAGE  # no matter where exactly pages begin
        return slice(begin, begin + self.PAGE)

    def change(self, at, what):
        new = {"alike": b"%d alike" % at, "zero": b"", "own": b"%d of %d" % (at, self.number)}[what]
        self.expected[at] = new.ljust(self.PAGE, b"\0")
        self.data[self.place(at)] = self.expected[at]

    def check(self):
        for at, expected in enumerate(self.expected):
            assert self.data[self.place(at)] == expected, (self.number, at)


def in_turn(number, pipes, work):
    """Forks a child that works and tells ints; it begins, and goes on after each, when it is written to."""
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
    """Processes leave it within a microsecond."""

    def __init__(self, parties):
        self.rounds, self.parties = mmap.mmap(-1, parties), parties

    def wait(self, number):
        self.rounds[number] += 1
        end = time.monotonic() + 20
        while min(bytes(self.rounds)[: self.parties]) < self.rounds[number]:
            assert time.monotonic() < end


def alike(folder, library):
    """What processes change in the same way is there once; what one has changed for itself is its own."""
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
            time.sleep(0.3)  # meanwhile its parent gives pages back
            changed.check()
            os._exit(0)
        parking.repark()
        assert os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]) == 0
        before = private()
        parking.repark()  # only now: a page that a child still has is not ours alone
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
    """What is in the pool is shared on; nothing comes into it."""
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
    """Interpreter's end, with everything alive."""
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
    """For debuggers: tells its pid, waits for a line."""
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


# ---- other threads -------------------------------------------------------------------------------------------------


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
    """They allocate and write at every moment, without the GIL."""
    for number in range(6):
        assert library.start_busy(number + 1) == 0
    refused(folder)
    before = library.rounds_done()
    while library.rounds_done() < before + 50_000:
        time.sleep(0.01)
    library.stop_all()
    assert library.rounds_wrong() == 0


def wait_for_sleep(thread):
    """Until it is asleep in a system call."""
    call = Path(f"/proc/self/task/{thread.native_id}/syscall")
    while call.read_text().startswith(("running", "-1")):
        time.sleep(0.001)


def long_read(folder, library):
    """A thread sleeps in read(2), whose buffer would lie in what is parked."""
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
    """Threads in the waits of Python: their locks lie in what is parked."""
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
    """Python would begin it again, but nobody can tell it from that of a library."""
    event = threading.Event()
    thread = threading.Thread(target=event.wait, args=(3600,))
    thread.start()
    wait_for_sleep(thread)
    refused(folder)
    event.set()
    thread.join()


def beside_sleeper(folder, library):
    """SLEEPER is what the thread of a native library sleeps in; it is left alone."""
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
    """Whether it sleeps there, rather than waits for the GIL on its way, with a timeout. Source: proc(5), syscall."""
    frame = sys._current_frames()[thread.ident]
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    with open(f"/proc/self/task/{thread.native_id}/syscall") as file:
        number, *arguments = file.read().split()
    return "join" in names and number in FUTEX and int(arguments[3], 16) == 0


def from_a_thread(folder, library):
    """The main thread is one of those held."""
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


# ---- refusals ------------------------------------------------------------------------------------------------------


def refused(folder, *_):
    """Says why, and that nothing has changed. malloc maps large blocks again."""
    try:
        park(folder)
        print("parked")
    except (parking.NotParked, RuntimeError, OSError) as reason:
        print(f"refused: {reason}")
    Canary.now.check()
    Canary.now.churn(1000)
    Canary.now.check()


def line(folder, library):
    """The line in the log."""
    parking.park(folder)
    Canary.now.check()


def twice(folder, library):
    assert park(folder) > 20
    refused(folder)


def no_signal_left(folder, library):
    import signal

    for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
        signal.signal(number, lambda *_: None)
    refused(folder)


def ring(registers):
    """An io_uring, with a registered buffer or without; None where that is not permitted."""
    libc = ctypes.CDLL(None)
    fd = libc.syscall(425, 4, ctypes.create_string_buffer(120))  # io_uring_setup(2)
    if fd < 0:
        return None
    buffer = bytearray(1 << 16)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.c_char.from_buffer(buffer)), len(buffer))
    if registers and libc.syscall(427, fd, 0, vector, 1) < 0:  # io_uring_register(2)
        return None
    return buffer


def io_uring_idle(folder, library):
    print("not permitted" if ring(False) is None else "parked" if park(folder) > 20 else "")
    Canary.now.check()


def io_uring_with_buffers(folder, library):
    if ring(True) is None:
        print("not permitted")
    else:
        refused(folder)


def file_limit(folder, library):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    refused(folder)


def large_blocks(folder, library):
    """malloc's large blocks lie in the heap until parked, and in mappings of their own afterwards."""
    heap = ctypes.CDLL(None).sbrk
    heap.restype, heap.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]

    def in_heap(block):
        return id(block) < heap(0) and id(block) > heap(0) - (1 << 30)

    before = bytearray(4 << 20), bytes(4 << 20)
    assert in_heap(before[1])
    parked(folder)
    after = bytes(4 << 20)
    assert not in_heap(after)
    before[0].extend(bytes(16 << 20))  # from the parked heap into a mapping
    assert before[0] == bytes(20 << 20)
    print("right")


def nothing_left_behind(folder, library):
    """The file has no name, and nobody else may open it."""
    parked(folder)
    assert os.listdir(folder) == []
    mapped = {row.split()[4] for row in Path("/proc/self/maps").read_text().splitlines() if str(folder) in row}
    assert len(mapped) == 1  # one inode
    row = next(row for row in Path("/proc/self/maps").read_text().splitlines() if str(folder) in row)
    about = os.stat(f"/proc/self/map_files/{'-'.join(part.lstrip('0') for part in row.split()[0].split('-'))}")
    assert (about.st_mode & 0o777, about.st_nlink) == (0o600, 0)
    print("right")


# ---- libraries -----------------------------------------------------------------------------------------------------


def libraries(folder, library):
    import io

    import numpy
    import pydantic
    import sqlalchemy
    from PIL import Image, ImageDraw

    class Person(pydantic.BaseModel):
        name: str
        ages: list[int] = []

    weights = numpy.random.default_rng(1).standard_normal((1500, 1500))
    numpy.save(Path(folder, "model.npy"), weights)
    mapped = numpy.load(Path(folder, "model.npy"), mmap_mode="r")
    loaded = numpy.load(Path(folder, "model.npy"))
    product = loaded @ loaded.T  # starts the threads of its BLAS
    image = Image.linear_gradient("L").resize((900, 900))
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table t (x)"))
        connection.execute(sqlalchemy.text("insert into t values (:x)"), [{"x": i} for i in range(5000)])

    def work():
        assert numpy.array_equal(loaded, weights) and numpy.array_equal(mapped, weights)
        assert numpy.allclose(loaded @ loaded.T, product)
        loaded[:] = weights
        with engine.begin() as connection:
            assert connection.execute(sqlalchemy.text("select sum(x) from t")).scalar() == 5000 * 4999 / 2
        one = Person.model_validate_json('{"name": "Ada", "ages": [1, 2, 3]}')
        assert one.model_dump() == {"name": "Ada", "ages": [1, 2, 3]}
        drawn = image.copy()
        ImageDraw.Draw(drawn).ellipse((100, 100, 500, 500), fill=7)
        out = io.BytesIO()
        drawn.save(out, "PNG")
        return hashlib.sha256(out.getvalue()).hexdigest()

    before = work()
    canary = parked(folder)
    for _ in range(5):
        assert work() == before
        canary.churn(200)
        gc.collect()
        _memory.trim()
    canary.check()
    print("right")


def main(name, folder, library=None):
    _memory.configure()
    if not os.environ.get("UNPREPARED"):
        parking.prepare()
    Canary.now = Canary()
    globals()[name](folder, library and ctypes.CDLL(library))


if __name__ == "__main__":
    main(*sys.argv[1:])
