"""Debuggers, profilers and crash handlers find what they need in parked memory."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from harness import HANG

pytestmark = pytest.mark.slow


@pytest.fixture
def waiting(command):
    """A program that has parked and waits for a line; .finish() sends the line and checks the result."""
    popen = subprocess.Popen(
        command("wait"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert popen.stdout.readline() == "waiting\n", popen.stderr.read()
    yield popen
    stdout, stderr = popen.communicate("\n", timeout=HANG)
    assert (popen.returncode, stdout) == (0, "right\n"), stderr


def attached(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=5 * HANG)
    if "not permitted" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("ptrace is not permitted here")
    return done


def test_py_spy(waiting):
    py_spy = shutil.which("py-spy", path=os.path.dirname(sys.executable))
    if py_spy is None:
        pytest.skip("py-spy is not installed")
    for flags in ([], ["--nonblocking"], ["--locals"]):
        done = attached(py_spy, "dump", "--pid", str(waiting.pid), *flags)
        assert "here_we_wait" in done.stdout, done.stderr


def test_gdb(waiting):
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    done = attached("gdb", "-p", str(waiting.pid), "-batch", "-ex", "bt", "-ex", "info proc mappings", "-ex", "detach")
    assert "read" in done.stdout and "(deleted)" in done.stdout, done.stderr


@pytest.mark.parametrize(("name", "number"), [("crash", signal.SIGSEGV), ("abort", signal.SIGABRT)])
def test_a_crash_is_told(program, name, number):
    done = program(name)
    assert done.returncode == -number
    assert "Fatal Python error" in done.stderr and f"in {name}" in done.stderr
