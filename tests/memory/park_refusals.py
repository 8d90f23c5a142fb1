"""Programs of park_programs.py that are refused parking, reach a limit, or use large libraries."""

import ctypes
import gc
import hashlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from canary import Canary, go_on, park, parked, refused

from saltare import _memory
from saltare.memory import park as parking


def half(folder, library):
    """The file had no room for more."""
    file_limit(folder, library)
    assert "saltare-heap" in Path("/proc/self/maps").read_text()
    go_on()


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
    """An io_uring, with or without a registered buffer; None where that is not permitted."""
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
    """malloc puts large blocks in the heap until parking, and in mappings of their own afterwards."""
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
    """The file has no name, and no other process may open it."""
    parked(folder)
    assert os.listdir(folder) == []
    mapped = {row.split()[4] for row in Path("/proc/self/maps").read_text().splitlines() if str(folder) in row}
    assert len(mapped) == 1  # one inode
    row = next(row for row in Path("/proc/self/maps").read_text().splitlines() if str(folder) in row)
    about = os.stat(f"/proc/self/map_files/{'-'.join(part.lstrip('0') for part in row.split()[0].split('-'))}")
    assert (about.st_mode & 0o777, about.st_nlink) == (0o600, 0)
    print("right")


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
    product = loaded @ loaded.T  # starts the BLAS threads
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
