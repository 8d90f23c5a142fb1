"""Programs that have bursts, and give back what is free afterwards: `pool_programs.py NAME`. Per process.

Each prints "right", or ends with an AssertionError.
"""

import gc
import os
import random
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from park_programs import Canary, private

from saltare import _memory

MIB = 1024  # KiB
BURST = 40 * MIB


def burst():
    """Objects of all small sizes."""
    return [bytes(16 * (i % 30)) for i in range(BURST * 1024 // 280)]


def settled():
    """What the program holds before its burst."""
    list(range(100_000))
    gc.collect()
    _memory.trim()
    _memory.watch_arenas()
    return private()


def empty_arenas():
    before = settled()
    kept = burst()
    assert private() - before > BURST * 3 // 4
    del kept
    assert private() - before > MIB // 2  # pymalloc keeps one
    _memory.release_pools()
    _memory.trim()
    assert private() - before < MIB // 2, private() - before


def pinned_arenas():
    """In each of them something stays."""
    before = settled()
    kept = burst()
    pins = kept[::2000]
    del kept
    pinned = private() - before
    assert pinned > BURST // 2
    released = _memory.release_pools() >> 10
    left = private() - before
    assert abs(pinned - left - released) < 4 * MIB, (pinned, left, released)
    assert left < pinned * 0.5, (pinned, left)
    assert _memory.release_pools() == 0  # nothing has come since
    assert [len(pin) for pin in pins] == [16 * (2000 * i % 30) for i in range(len(pins))]


def again():
    """Burst after burst, it all comes back."""
    before = settled()
    held = []
    for _ in range(8):
        kept = burst()
        pins = kept[::3000]
        del kept
        _memory.release_pools()
        held.append(private() - before)
    del pins
    assert max(held) < BURST // 5, held


def untouched():
    """What was never written to stays that way."""
    settled()
    least = []
    for _ in range(30):
        kept = [bytes(500) for _ in range(2100)]  # one arena, at least
        before = private()
        _memory.release_pools()
        least.append(private() - before)
        del kept
    assert max(least) <= 80, least


def nothing_new():
    settled()
    kept = [bytes(400)]
    assert _memory.release_pools() == 0
    del kept


def other_allocators():
    settled()
    kept = burst()
    pins = kept[::2000]
    del kept
    before = private()
    assert _memory.release_pools() == 0
    assert private() - before < MIB
    del pins


def churn():
    canary = Canary()
    rng = random.Random(5)
    settled()
    for turn in range(60):
        kept = [rng.randbytes(rng.randrange(500)) for _ in range(20_000)]
        mirror = [bytearray(one) for one in kept[::7]]
        canary.churn(40)
        pins = kept[rng.randrange(7) :: 7]
        copies = [bytearray(one) for one in pins]
        del kept
        if turn % 3 == 0:
            gc.collect()
        _memory.release_pools()
        refill = [rng.randbytes(rng.choice((8, 100, 400, 480))) for _ in range(rng.randrange(30_000))]
        sizes = [len(one) for one in refill]
        assert pins == copies and [len(one) for one in refill] == sizes
        assert all(len(one) < 500 for one in mirror)
        canary.check()


def threads():
    settled()
    stop, wrong = threading.Event(), []

    def work(seed):
        rng = random.Random(seed)
        while not stop.is_set():
            data = [rng.randbytes(rng.randrange(512)) for _ in range(300)]
            if [bytes(bytearray(one)) for one in data] != data:
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(30):
        kept = burst()[::500]
        _memory.release_pools()
        del kept
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong


def forked():
    settled()
    kept = burst()[::1500]
    pid = os.fork()
    _memory.release_pools()
    churned = Canary(size=4 << 20)
    churned.check()
    assert len(kept) > 50
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def parked():
    """In the memory file of a process that forks."""
    _memory.prepare_parking()
    canary = Canary()
    kept = burst()
    pins = kept[::2000]
    fd = os.memfd_create("heap")
    _memory.share(fd)
    _memory.watch_arenas()
    del kept
    for _ in range(3):
        more = burst()[::2000]
        _memory.release_pools()
        _memory.repark(fd, -1)
        canary.churn(300)
        canary.check()
    assert len(more) == len(pins)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("right")
