"""No code that the bridge calls can crash it, at any moment: each case runs in its own process."""

import os
import subprocess
import sys

import pytest

import faults_of_allocations  # noqa: F401 - each file adds its faults
import faults_of_calls  # noqa: F401
from faults import FAULTS
from harness import HANG


@pytest.mark.parametrize("name", FAULTS)
def test_the_border_survives(name):
    # An allocator that overwrites freed memory, so that a later read finds garbage; ASan brings its own.
    malloc = os.environ.get("PYTHONMALLOC", "debug")
    command = [sys.executable, "-X", "faulthandler", FAULTS[name].__code__.co_filename, name]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONMALLOC": malloc}, capture_output=True, text=True, timeout=4 * HANG
    )
    assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    assert done.stdout.endswith("survived\n")
