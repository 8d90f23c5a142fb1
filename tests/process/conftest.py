"""What tests of processes share.

marks  counts what worker_apps has noted: marks("started"); marks.env tells it where
ended  runs a server that is to end by itself: ended(app, *arguments, **environment) -> (exit code, log)
"""

import os
import subprocess
import sys

import pytest


@pytest.fixture
def marks(tmp_path):
    """A folder in which worker_apps notes what happens, and a function that counts."""
    folder = tmp_path / "marks"
    folder.mkdir()

    def count(what):
        return len(list(folder.glob(f"{what}-*")))

    count.env = {"MARKS": str(folder)}
    return count


@pytest.fixture
def ended(request, tmp_path):
    """Runs a server that is to end by itself; gives its exit code and what it logged."""

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
