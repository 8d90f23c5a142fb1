"""Compiled helpers, and programs that park.

library(name)                 the path of name.c of this folder, compiled
program(name, **environment)  runs one of park_programs.py: .stdout, .stderr, .returncode
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import HANG

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")

    def compiled(name):
        path = folder / f"{name}.so"
        if not path.exists():
            command = [*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-O2", "-pthread"]
            subprocess.run([*command, HERE / f"{name}.c", "-o", path, "-ldl"], check=True)
        return str(path)

    return compiled


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk."""
    from saltare import _memory
    from saltare.memory.park import UNSUITABLE

    fd = os.open(tmp_path, os.O_RDONLY)
    kind = UNSUITABLE.get(_memory.file_system(fd))
    os.close(fd)
    if kind is not None:
        pytest.skip(f"{tmp_path} lies on {kind}: choose another --basetemp")
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def command(disk, library):
    def words(name, folder=disk, flags=()):
        return [sys.executable, *flags, str(HERE / "park_programs.py"), name, str(folder), library("threads")]

    return words


@pytest.fixture
def program(command):
    def run(name, folder=None, flags=(), **environment):
        words = command(name, flags=flags) if folder is None else command(name, folder, flags)
        return subprocess.run(
            words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=10 * HANG
        )

    return run
