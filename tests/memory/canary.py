"""Objects that detect a change of any of their bytes, and parking memory with them in it."""

import gc
import hashlib
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from saltare import _memory
from saltare.memory import park as parking

PAGES_EACH = 24 << 20  # bytes of Python objects that every program has, small and large


class Canary:
    """Objects of every size, with a digest of their contents."""

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
    return rollup("Anonymous")


def rss():
    return rollup("Rss")


def rollup(name):
    """KiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


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


def refused(folder, *_):
    """Prints why parking fails, and checks that nothing has changed. malloc maps large blocks again."""
    try:
        park(folder)
        print("parked")
    except (parking.NotParked, RuntimeError, OSError) as reason:
        print(f"refused: {reason}")
    Canary.now.check()
    Canary.now.churn(1000)
    Canary.now.check()


def go_on():
    """Works like a process with a part of its heap parked."""
    for _ in range(3):
        Canary.now.churn(1000)
        gc.collect()
        _memory.trim()
    Canary.now.check()
    print("right")


def resident(begin, size):
    """Bytes of resident memory in a range of addresses."""
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(begin // 4096 * 8)
        entries = pagemap.read((begin + size) // 4096 * 8 - begin // 4096 * 8)
    return 4096 * sum(byte >> 7 for byte in entries[7::8])


def inode_at(address):
    """The inode of the file mapped at an address; 0: none."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(number, 16) for number in line.split()[0].split("-"))
        if begin <= address < end:
            return int(line.split()[4])
    raise AssertionError(f"nothing is mapped at {address:#x}")
