"""Parks the memory that start-up filled in an unlinked file, or shares it with the processes to be forked.

`native/memory/park.c` does the work. This file decides where, and whether anything prevents it.
"""

import os
import sys
from contextlib import suppress
from errno import EISDIR, EOPNOTSUPP

from .. import _memory, log
from ..options.techniques import untested

# File systems that may lose pages, or that would keep them in memory: statfs(2), linux/magic.h.
UNSUITABLE = {
    0x01021994: "tmpfs, which is memory itself",
    0x858458F6: "ramfs, which is memory itself",
    0x958458F6: "hugetlbfs, which is memory itself",
    0x6969: "NFS, whose server may go away",
    0x517B: "SMB, whose server may go away",
    0xFF534D42: "CIFS, whose server may go away",
    0xFE534D42: "SMB2, whose server may go away",
    0x01021997: "9P, whose server may go away",
    0x00C36400: "Ceph, whose servers may go away",
    0x5346414F: "AFS, whose servers may go away",
    0x65735546: "FUSE, whose process may go away",
}


DESCRIPTORS = 256  # checked in one slice: a millisecond
PAGES = 1024  # compared in one slice: a few milliseconds

# Parking needs all other threads asleep. A running thread, also one stopped until now, may sleep soon; on a busy
# machine this takes a while.
TRIES = 20
PAUSE = 0.25  # seconds
BREATH = 0.002  # seconds, after threads were stopped

_file = None  # descriptor of the file, once this process or its master parks or shares
_pool = -1  # descriptor of the file for pages that workers have changed alike, in a worker and its master


class NotParked(Exception):
    """The message says why."""


def prepare():
    """Before the app is imported: only memory recorded from here on can be parked."""
    try:
        check_interpreter()
        _memory.prepare_parking()
    except (NotParked, OSError, RuntimeError):
        pass  # park() logs the reason


def share():
    """For a process that will fork others: moves the heap into a file in memory, to which they can return written
    pages that are unchanged again. If that is not possible, they share what fork() shares.
    """
    if _file is not None:
        return  # it is parked
    try:
        check_interpreter()
        shared()
    except (NotParked, RuntimeError, OSError) as reason:
        log.debug(f"workers share only what fork shares: {reason}")


def park(folder):
    """Parks the heap in a file in the folder, and logs its size, or why nothing was parked.

    Collect garbage and trim malloc before. gc.freeze() keeps the collector from writing to the heap.
    """
    try:
        if untested() is not None:
            raise NotParked(untested())
        check_interpreter()
        parked = parked_in(folder)
    except (NotParked, RuntimeError) as reason:
        log.warning(f"memory is not parked: {reason}")
    except OSError as error:
        log.warning(f"memory is not parked: {folder}: {error.strerror}")
    else:
        log.info(f"parked {parked / (1 << 20):.1f} MiB of memory in {folder}")


def is_parked():
    """Whether memory of this process is in a file."""
    return _file is not None


def check_interpreter():
    if not sys.flags.ignore_environment and os.environ.get("PYTHONMALLOC", "default") not in (
        "",
        "default",
        "pymalloc",
    ):
        raise NotParked(f"PYTHONMALLOC is {os.environ['PYTHONMALLOC']}")
    if sys.flags.dev_mode:
        raise NotParked("Python runs in its development mode")


def parked_in(folder):
    return moved_by(_memory.park, suitable_file(folder))


def suitable_file(folder):
    """A descriptor of an unlinked file in the folder. NotParked, OSError: memory cannot lie there."""
    fd = unlinked_file(folder)
    try:
        kind = UNSUITABLE.get(_memory.file_system(fd))
        if kind is not None:
            raise NotParked(f"{folder} lies on {kind}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def shared():
    return moved_by(_memory.share, os.memfd_create("saltare-heap", os.MFD_CLOEXEC))


def moved_by(move, fd):
    global _file
    try:
        check_rings()
        moved = move(fd)
    except BaseException:
        os.close(fd)
        raise
    _file = fd
    return moved


def open_pool():
    """For a process that will fork others, once it parks or shares: a second file, for pages they change alike."""
    global _pool
    if _file is None or _pool >= 0 or files_have_huge_pages():
        return
    try:
        fd = os.memfd_create("saltare-pool", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, os.fstat(_file).st_size)
        except OSError:
            os.close(fd)
            raise
    except OSError as error:
        log.debug(f"workers do not share equal changed pages: {error.strerror}")
    else:
        _pool = fd


def seal_pool():
    """Closes the pool to new pages: what processes change while they serve is not alike."""
    from fcntl import F_ADD_SEALS, F_SEAL_WRITE, fcntl

    if _pool >= 0:
        with suppress(OSError):  # the pool stays open then
            fcntl(_pool, F_ADD_SEALS, F_SEAL_WRITE)


def files_have_huge_pages():
    """Whether one written page of a file in memory may cost 2 MiB."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/shmem_enabled") as setting:
            mode = setting.read()
        return not any(mild in mode for mild in ("[never]", "[advise]", "[deny]"))
    except OSError:
        return False


def repark():
    """Returns pages to the file that were written to but are unchanged, as after a reference was taken and dropped.
    In a worker they are shared again. So are, by the pool, pages that other workers have changed alike. Returns the
    number of bytes; without such a file, does nothing.
    """
    if _file is None:
        return 0
    try:
        check_rings()
        return _memory.repark(_file, _pool)[0]
    except (NotParked, RuntimeError, OSError) as reason:
        log.debug(f"memory is not parked again: {reason}")
        return 0


def has_moved():
    """Whether there is a file to return pages to."""
    return _file is not None


def repark_slice(begin, pages):
    """The same for `pages` pages from address `begin`, without a check for io_uring. Returns the next address, or 0.

    OSError and RuntimeError: not now.
    """
    return _memory.repark(_file, _pool, begin, pages)[1]


def repark_in_slices():
    """All pages, as steps of a quiet period (see Cleanup.steps)."""
    at, tries = 0, 0
    if _file is None:
        return
    try:
        for _ in look_for_rings():
            if (yield 0):
                return
        while True:
            try:
                at = repark_slice(at, PAGES)
            except RuntimeError:
                tries += 1
                if tries == TRIES:
                    raise
                if (yield PAUSE):
                    return
            else:
                if at == 0 or (yield BREATH):
                    return
    except (NotParked, OSError, RuntimeError) as reason:
        log.debug(f"memory is not parked again: {reason}")


def check_rings():
    for _ in look_for_rings():
        pass


def look_for_rings():
    """The kernel fills an io_uring's buffers at any time, and registered ones in their first physical pages.

    NotParked: one is in use. A generator, since there may be descriptors of many thousand connections.
    """
    with os.scandir("/proc/self/fd") as entries:
        for number, entry in enumerate(entries, 1):
            try:
                if os.readlink(entry.path) == "anon_inode:[io_uring]" and not is_idle_ring(entry.name):
                    raise NotParked("io_uring is in use")
            except FileNotFoundError:
                pass  # closed since
            if number % DESCRIPTORS == 0:
                yield


def is_idle_ring(fd):
    with open(f"/proc/self/fdinfo/{fd}") as file:
        about = file.read()
    return "UserBufs:\t0\n" in about and "PollList:\n" in about and " op=" not in about


def unlinked_file(folder):
    """A new file that only this process can open. Some file systems, such as older overlayfs, lack O_TMPFILE."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (EOPNOTSUPP, EISDIR):
            raise
    name = os.path.join(folder, f".saltare-{os.getpid()}-{os.urandom(8).hex()}")
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.unlink(name)
    return fd
