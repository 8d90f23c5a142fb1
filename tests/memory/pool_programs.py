"""Programs with bursts that release free memory afterwards: `pool_programs.py NAME`.

Each prints "right", or ends with an AssertionError.
"""

import asyncio
import gc
import hashlib
import itertools
import mmap
import os
import random
import re
import selectors
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from canary import Canary, private

from saltare import _memory
from saltare.memory.idle import Cleanup, Slices
from saltare.options import sources

MIB = 1024  # KiB


def burst(mib=40):
    """Objects of all small sizes; one of every 2000 stays, and has another size."""
    return [bytes(16 * (i % 29) + 1) for i in range(mib * 4000)]


def right(pins):
    assert [len(pin) for pin in pins] == [16 * (2000 * i % 29) + 1 for i in range(len(pins))]


def settled():
    """KiB that the program holds before its burst."""
    list(range(100_000))
    gc.collect()
    _memory.trim()
    _memory.watch_arenas()
    return private()


def release():
    """KiB that were released."""
    _memory.trim()
    return _memory.release_pools() >> 10


def empty_arenas():
    before = settled()
    kept = burst()
    assert private() - before > 30 * MIB
    del kept
    _memory.trim()
    release()
    assert private() - before < 2 * MIB, private() - before


def pinned_arenas():
    """An object stays in each of them."""
    before = settled()
    kept = burst()
    pins = kept[::2000]
    del kept
    _memory.trim()
    pinned = private() - before
    assert pinned > 20 * MIB
    released = release()
    left = private() - before
    assert abs(pinned - left - released) < 4 * MIB, (pinned, left, released)
    assert left < pinned * 0.5, (pinned, left)
    assert release() == 0  # memory has not grown
    right(pins)


def within_a_burst():
    """A quiet period begins while everything is in use, as by waiting requests; the next period finds it free."""
    before = settled()
    kept = burst()
    release()
    pins = kept[::2000]
    del kept
    assert release() > 10 * MIB
    assert private() - before < 25 * MIB
    right(pins)


def youngest_stay():
    """The arena allocated last is the fullest, and has pools that were never used."""
    for youngest in range(4000, 24_000, 4000):
        before = settled()
        kept = burst()
        stays = [bytes(100) for _ in range(youngest)]
        pins = kept[::2000]
        del kept
        _memory.trim()
        pinned = private() - before
        assert release() > 10 * MIB, youngest
        assert private() - before < pinned * 0.6, (youngest, pinned, private() - before)
        right(pins)
        del stays, pins


def again():
    """Burst after burst, into existing arenas."""
    before = settled()
    held, pins = [], []
    for _ in range(6):
        kept = burst()
        pins.append(kept[::2000])
        del kept
        assert release() > 10 * MIB
        held.append(private() - before)
    assert max(held) < 20 * MIB, held
    for some in pins:
        right(some)


def no_peak():
    """Released pools are not brought back by checking them."""
    settled()
    kept = burst()
    pins = kept[::2000]
    del kept
    assert release() > 10 * MIB
    grown = bytearray(b"x") * (2 << 20), [bytes(470) for _ in range(3 * 2100)]
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak RSS
    held = private()
    assert _memory.release_pools() > 10 << 20  # they are checked
    status = Path("/proc/self/status").read_text()
    peak, files = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "RssFile"))
    assert peak - files - held < 5 * MIB, (peak, files, held)
    right(pins)
    del grown


def untouched():
    """Untouched memory costs a page of each pool, in one arena."""
    settled()
    kept, grown, released = [], [], 0
    for _ in range(10):
        kept.append([bytes(470) for _ in range(6000)])  # three arenas
        before = private()
        released += release()
        grown.append(private() - before)
    assert released > 0
    assert max(grown) <= 64 * 4 + 64, grown


def elsewhere():
    """Where memory grew that is not pymalloc's, as for connections, hardly any untouched pool is touched."""
    settled()
    kept, grown = [], []
    for _ in range(16):
        kept.append([bytes(470) for _ in range(500)])  # a quarter of an arena
        kept.append(mmap.mmap(-1, 512 << 10))
        kept[-1].write(bytes(512 << 10))
        before = private()
        release()
        grown.append(private() - before)
    assert max(grown) <= 32, grown


def no_burst():
    settled()
    kept = [bytes(400) for _ in range(100)]
    assert release() == 0
    del kept


def other_allocators():
    settled()
    kept = burst()
    pins = kept[::2000]
    del kept
    before = private()
    assert _memory.release_pools() == 0
    assert private() - before < MIB
    right(pins)


def digests(blocks):
    return [hashlib.md5(block).digest() for block in blocks]


def churn():
    canary = Canary()
    rng = random.Random(5)
    settled()
    released = 0
    for turn in range(40):
        kept = [rng.randbytes(rng.randrange(500)) for _ in range(20_000)]
        pins = kept[rng.randrange(7) :: 7]
        was = digests(pins)
        canary.churn(40)
        del kept
        if turn % 3 == 0:
            gc.collect()
        released += release()
        refill = [rng.randbytes(rng.choice((8, 100, 400, 480))) for _ in range(rng.randrange(30_000))]
        filled = digests(refill)
        assert digests(pins) == was
        canary.check()
        released += release()
        assert digests(refill) == filled
    assert released > 20 * MIB, released


def threads():
    settled()
    stop, wrong, released = threading.Event(), [], 0

    def work(seed):
        rng = random.Random(seed)
        while not stop.is_set():
            data = [rng.randbytes(rng.randrange(512)) for _ in range(300)]
            if [bytes(bytearray(one)) for one in data] != data:
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(30):
        kept = burst(10)[::2000]
        released += release()
        right(kept)
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong and released > 10 * MIB, (wrong, released)


def forked():
    settled()
    pins = burst()[::2000]
    pid = os.fork()
    assert release() > 10 * MIB
    churned = Canary(size=4 << 20)
    churned.check()
    right(pins)
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def parked():
    """In the memory file of a process that forks, and in workers that import the app themselves."""
    _memory.prepare_parking()
    _memory.watch_arenas()
    canary = Canary()
    pins = [burst()[::2000]]
    fd = os.memfd_create("heap")
    assert _memory.share(fd) > 10 << 20
    _memory.watch_arenas()
    for _ in range(3):
        pins.append(burst()[::2000])
        assert release() > 10 * MIB
        _memory.repark(fd, -1)
        canary.churn(300)
        canary.check()
    for some in pins:
        right(some)


def in_slices():
    """Each call checks and releases that many pools; it leaves pools allocated between two calls alone."""
    pools = 64
    settled()
    pins = burst()[::2000]
    _memory.trim()
    held, between = [private()], []
    while (released := _memory.release_pools(pools)) is None:
        held.append(private())
        between.append([bytes(16 * (i % 29) + 1) for i in range(100)])
    assert len(held) > 20, len(held)
    steps = [then - now for then, now in itertools.pairwise(held)]
    assert max(steps) <= pools * 16 + 64, steps
    assert released > 10 * MIB * 1024 and held[0] - private() > 10 * MIB
    right(pins)
    assert all([len(one) for one in some] == [16 * (i % 29) + 1 for i in range(100)] for some in between)
    more = burst()[::2000]  # it is now stopped after a few
    before, taken = private(), 0
    while _memory.release_pools(pools, taken >= 5) is None:
        taken += 1
    assert taken < 30 and 0 < before - private() <= 6 * pools * 16 + 256, (taken, before - private())
    right(pins)
    right(more)


class Wait(selectors.DefaultSelector):
    """A quiet period begins within the wait of the loop, as in the core."""

    begin = None

    def select(self, timeout=None):
        begin, self.begin = self.begin, None
        if begin:
            begin()
        return super().select(0 if begin or self.begin else timeout)


class Core:
    def __init__(self, loop, selector):
        self.release_soon, self._selector = loop.stop, selector
        self.on_quiet = None

    def again(self):
        self._selector.begin = self.on_quiet

    def stats(self):
        return {"requests": 100_000}


def mapped():
    """KiB of data, in memory or not."""
    return int(re.search(r"VmData:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def slow_collections():
    """Collections take long during bursts. After them, Python's free lists keep no arena alive."""
    selector = Wait()
    loop = asyncio.SelectorEventLoop(selector)
    cleanup = Cleanup(sources.load("main:app", {}))
    core = Core(loop, selector)
    core.on_quiet = Slices(loop, core, cleanup.steps)

    def quiet(took):
        cleanup._collecting._clock = itertools.count(0, took).__next__
        core.again()
        loop.run_forever()

    cleanup.begin()
    quiet(0.0001)
    before, left = mapped(), []
    for _ in range(4):
        kept = [(i, [i], {i: i}, (float(i), float(-i))) for i in range(1000, 9000)]
        quiet(0.02)
        del kept
        quiet(0.0001)
        left.append(mapped() - before)
    assert max(left) <= 2.5 * MIB, left  # empty arenas, of which pymalloc keeps one or two


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("right")
