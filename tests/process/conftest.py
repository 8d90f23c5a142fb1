"""Fixtures of the process tests.

marks  counts the notes of worker_apps: marks("started"); marks.env sets their folder
ended  runs a server that should end by itself: ended(app, *arguments, **environment) -> (exit code, log)
"""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def marks(tmp_path):
    """A folder in which worker_apps writes notes, and a function that counts them."""
    folder = tmp_path / "marks"
    folder.mkdir()

    def count(what):
        return len(list(folder.glob(f"{what}-*")))

    count.env = {"MARKS": str(folder)}
    return count


@pytest.fixture
def ended(request, tmp_path):
    """Runs a server that should end by itself; returns its exit code and its log."""

    def run(app, *args, **env):
        command = [sys.executable, "-m", "saltare", app, "--port", "0", *map(str, args)]
        cwd = env.pop("cwd", request.path.parent)
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stderr

    return run
