"""Threads that a fork would leave behind: Python's, and those of libraries, which Python does not know.

A thread is exempt when its library handles fork, so that a child restarts the thread or does without it:

- idle pools of OpenBLAS, which stops its threads before a fork and starts them when they are next needed
  (pthread_atfork). Tried with numpy 2.4. The pools of OpenMP are not exempt: with GNU's a child that enters a
  parallel region after its parent has done so waits for ever, and the others were not tried.
- jemalloc's background thread, by its name: the child runs without it. Tried with pyarrow 26 and its jemalloc.

Pool threads mostly have no name of their own. The addresses on their stacks show the libraries that they run.
Where the kernel hides the stack, a thread counts.
"""

import os
import struct
import sys
import time

IDLE_POOLS = ("libopenblas", "libscipy_openblas")
IDLE_THREADS = ("jemalloc_bg_thd",)  # comm, of 15 bytes
BESIDE = ("libc.so", "libc-", "libpthread", "ld-linux", "libm.so", "linux-vdso", "[vdso]")  # may be on any stack
DEPTH = 4096  # bytes of a stack to read
TRIES, PAUSE = 50, 0.005  # s, to find a thread waiting


def tasks():
    """The ids of this process's threads; empty if /proc does not list them."""
    try:
        return set(map(int, os.listdir("/proc/self/task")))
    except OSError:
        return set()


def started_since(before):
    """The sorted names of the threads started since `before` that a fork would leave behind, as "3 x name" if equal."""
    threading = sys.modules.get("threading")
    known = {one.native_id: one.name for one in threading.enumerate()} if threading else {}
    names = []
    libraries = None
    for task in sorted(tasks() - before - {os.getpid()}):
        if task in known:
            names.append(known[task])
            continue
        libraries = libraries or executable_maps()
        name = native_name(task, libraries)
        if name is not None:
            names.append(name)
    return [name if names.count(name) == 1 else f"{names.count(name)} x {name}" for name in sorted(set(names))]


def native_name(task, libraries):
    """Its name, such as "tokio-runtime-w of chroma.so"; None if the thread is exempt or has ended."""
    try:
        with open(f"/proc/self/task/{task}/comm") as file:
            name = file.read().strip()
    except OSError:
        return None
    found = libraries_on_stack(task, libraries)
    if name in IDLE_THREADS or (found and all(one.startswith(IDLE_POOLS) for one in found)):
        return None
    return f"{name} of {found[0]}" if found else name


def libraries_on_stack(task, libraries):
    """The libraries on the stack of a waiting thread, innermost first; [] if the stack cannot be read."""
    try:
        stack = stack_of(task)
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError, IndexError):
        return []
    try:
        words = read_words(memory, stack)
    finally:
        os.close(memory)
    found = dict.fromkeys(
        name for word in words for start, end, name in libraries if start <= word < end and not name.startswith(BESIDE)
    )
    return list(found)


def stack_of(task):
    """The stack pointer of a thread once it waits; pool threads may be busy for a while first."""
    for _ in range(TRIES):
        with open(f"/proc/self/task/{task}/syscall") as file:
            fields = file.read().split()
        if fields != ["running"]:
            break
        time.sleep(PAUSE)
    return int(fields[-2], 16)


def read_words(memory, start):
    for size in (DEPTH, DEPTH // 8):  # the smaller size for a stack that ends sooner
        try:
            data = os.pread(memory, size, start)
        except OSError:
            continue
        return struct.unpack_from(f"={len(data) // 8}Q", data)
    return ()


def executable_maps():
    """(start, end, base name) of each executable mapping of a file."""
    found = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if "x" in fields[1] and len(fields) > 5:
                start, end = (int(one, 16) for one in fields[0].split("-"))
                found.append((start, end, os.path.basename(fields[5].strip())))
    return found
