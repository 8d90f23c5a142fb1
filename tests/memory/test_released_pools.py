"""Memory that a burst leaves free within pymalloc's arenas is released, and nothing that is in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import HANG

PROGRAMS = Path(__file__).parent / "pool_programs.py"


def run(name, *flags, allocator="pymalloc"):
    command = [sys.executable, *flags, str(PROGRAMS), name]
    done = subprocess.run(command, env={"PYTHONMALLOC": allocator}, capture_output=True, text=True, timeout=10 * HANG)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "empty_arenas",
        "pinned_arenas",
        "within_a_burst",
        "youngest_stay",
        "again",
        "no_peak",
        "untouched",
        "elsewhere",
        "no_burst",
        "churn",
        "threads",
        "forked",
        "parked",
        "slow_collections",
    ],
)
def test_right(name):
    run(name)


@pytest.mark.parametrize("allocator", ["malloc", "debug", "pymalloc_debug", "malloc_debug"])
def test_other_allocators_are_left_alone(allocator):
    run("other_allocators", allocator=allocator)


def test_tracemalloc_is_left_alone():
    run("other_allocators", "-X", "tracemalloc")
