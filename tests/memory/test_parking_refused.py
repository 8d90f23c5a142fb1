"""Where parking is not possible, the log says why, and nothing changes."""

import os
import subprocess

import pytest

from saltare.memory.park import UNSUITABLE

pytestmark = pytest.mark.slow


def reason(done):
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: "), done.stdout
    return done.stdout.removeprefix("refused: ").rstrip("\n")


# ---- threads -------------------------------------------------------------------------------------------------------


def test_a_thread_that_blocks_signals(program):
    assert reason(program("deaf_thread")).endswith("(deaf) blocks signals")


def test_a_thread_whose_stack_was_allocated(program):
    assert reason(program("thread_on_heap")).endswith("has its stack in the heap")


def test_a_thread_that_the_kernel_has_suspended(program):
    assert reason(program("suspended_thread")).endswith("waits in a call that a signal would end")


@pytest.mark.parametrize("name", ["long_read", "wait_with_timeout"])
def test_a_thread_in_a_call_that_a_signal_would_end(program, name):
    assert reason(program(name)).endswith("waits in a call that a signal would end")


def test_threads_that_run(program):
    assert reason(program("busy_threads")).endswith("is running")


def test_no_signal_left(program):
    assert reason(program("no_signal_left")) == "every real-time signal is in use"


# ---- where ---------------------------------------------------------------------------------------------------------


def test_tmpfs(program):
    if not os.path.isdir("/dev/shm"):
        pytest.skip("there is no /dev/shm")
    assert reason(program("refused", folder="/dev/shm")) == "/dev/shm lies on tmpfs, which is memory itself"


@pytest.mark.parametrize("magic", UNSUITABLE)
def test_file_systems(program, library, disk, magic):
    done = program("refused", LD_PRELOAD=library("fakes"), FAKE_FSTATFS=str(magic))
    assert reason(done) == f"{disk} lies on {UNSUITABLE[magic]}"


def test_limit_of_file_size(program):
    assert "File too large" in reason(program("file_limit"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB."""
    image, folder = tmp_path / "image", tmp_path / "small"
    image.write_bytes(bytes(8 << 20))
    folder.mkdir()
    made = subprocess.run(["mkfs.ext4", "-q", image], capture_output=True)
    if made.returncode or subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk(program, small_disk):
    assert "No space left on device" in reason(program("refused", folder=small_disk))


def test_a_disk_that_fails(program, library):
    assert "Input/output error" in reason(program("refused", LD_PRELOAD=library("fakes"), FAKE_FSYNC="5"))


def test_a_folder_that_has_gone(program, disk):
    assert "No such file or directory" in reason(program("refused", folder=disk / "gone"))


# ---- which interpreter ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["malloc", "malloc_debug", "debug"])
def test_another_allocator_of_python(program, name):
    assert f"memory is not parked: PYTHONMALLOC is {name}\n" in program("line", PYTHONMALLOC=name).stderr


def test_the_usual_allocator_of_python(program):
    assert "parked" in program("refused", PYTHONMALLOC="pymalloc").stdout


def test_development_mode(program):
    done = program("line", flags=["-X", "dev"])
    assert "memory is not parked: Python runs in its development mode\n" in done.stderr


def test_a_preloaded_allocator(program, library):
    done = program("refused", LD_PRELOAD=library("allocator"))
    assert reason(done) == "malloc is not that of the C library but one that was preloaded"


def said_of_ring(done):
    if done.stdout == "not permitted\n":
        pytest.skip("io_uring is not permitted here")
    return done


def test_io_uring(program):
    assert reason(said_of_ring(program("io_uring_with_buffers"))) == "io_uring is in use"


def test_an_io_uring_without_work_is_not_in_the_way(program):
    """uvloop has one."""
    assert said_of_ring(program("io_uring_idle")).stdout == "parked\n"


# ---- when ----------------------------------------------------------------------------------------------------------


def test_unprepared(program):
    assert reason(program("refused", UNPREPARED="1")) == "nothing was prepared for it"


def test_twice(program):
    assert reason(program("twice")) == "it was tried before"


def test_the_line_in_the_log(program, disk):
    assert " INFO parked 2" in program("line").stderr
    gone = disk / "gone"
    assert f" WARNING memory is not parked: {gone}: No such file or directory\n" in program("line", gone).stderr
