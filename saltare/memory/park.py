"""What start-up left in memory is parked in an unlinked file, or shared with the processes to be forked.

`native/memory/park.c` does the work. Here is what can be told without it: where, and whether anything is in the way.
"""

import os
import sys
from contextlib import suppress
from errno import EISDIR, EOPNOTSUPP

from .. import _memory, log
from ..options.techniques import untested

# File systems from which pages may not come back, or that would keep them in memory: statfs(2), linux/magic.h.
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


DESCRIPTORS = 256  # looked at together: a millisecond

_file = None  # descriptor of the file, once this process or its master has parked or shares
_pool = -1  # descriptor of the file for what workers have changed alike, in a worker and its master


class NotParked(Exception):
    """The message says why."""


def prepare():
    """Before the app is imported: memory that is not recorded from here on cannot be parked."""
    try:
        check_interpreter()
        _memory.prepare_parking()
    except (NotParked, OSError, RuntimeError):
        pass  # it will be said in park()


def share():
    """For a process that will fork others: moves the heap into a file that is memory itself, to which the others give
    back what they have written to and is as it was. Where that is not possible, they share what fork() shares.
    """
    if _file is not None:
        return  # it is parked
    try:
        check_interpreter()
        shared()
    except (NotParked, RuntimeError, OSError) as reason:
        log.debug(f"workers share memory as fork leaves it: {reason}")


def park(folder):
    """Parks the heap in a file in the folder, and logs how much that was, or why nothing was parked.

    Before it, garbage should be collected and malloc trimmed. gc.freeze() keeps the collector from writing to it all.
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
    """Whether memory of this process lies in a file."""
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
    fd = unlinked_file(folder)
    try:
        kind = UNSUITABLE.get(_memory.file_system(fd))
        if kind is not None:
            raise NotParked(f"{folder} lies on {kind}")
    except BaseException:
        os.close(fd)
        raise
    return moved_by(_memory.park, fd)


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
    """For a process that will fork others, once it has parked or shares: a second file, for what they change alike."""
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
        log.debug(f"workers do not share what they change alike: {error.strerror}")
    else:
        _pool = fd


def seal_pool():
    """Nothing more comes into it: what a process changes while it serves is not what others do."""
    from fcntl import F_ADD_SEALS, F_SEAL_WRITE, fcntl

    if _pool >= 0:
        with suppress(OSError):  # then more may come
            fcntl(_pool, F_ADD_SEALS, F_SEAL_WRITE)


def files_have_huge_pages():
    """Whether one page written to a file in memory may cost 2 MiB."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/shmem_enabled") as setting:
            mode = setting.read()
        return not any(mild in mode for mild in ("[never]", "[advise]", "[deny]"))
    except OSError:
        return False


def repark():
    """Gives pages back to the file that were written to and are as they were, as after a reference was taken and
    dropped. In a worker that makes them shared again, as does the pool with pages that other workers have changed in
    the same way. Returns how many bytes; without such a file nothing is done.
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
    """Whether there is a file to give pages back to."""
    return _file is not None


def repark_slice(begin, pages):
    """The same for so many pages, from an address on, where there is no io_uring. Returns where to go on, 0 at the end.

    OSError and RuntimeError: not now.
    """
    return _memory.repark(_file, _pool, begin, pages)[1]


def check_rings():
    for _ in look_for_rings():
        pass


def look_for_rings():
    """The kernel fills an io_uring's buffers at a time of its own, and registered ones where they were at first.

    NotParked: there is one in use. A generator, since there may be a descriptor for each of many thousand connections.
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
    """A new file that only this process can open. Some file systems, such as older overlayfs, know no O_TMPFILE."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (EOPNOTSUPP, EISDIR):
            raise
    name = os.path.join(folder, f".saltare-{os.getpid()}-{os.urandom(8).hex()}")
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.unlink(name)
    return fd
