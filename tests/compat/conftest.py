"""Fixtures: programs that embed a server, in processes of their own; the loggers of this one."""

import contextlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from saltare import log
from saltare.options import sources

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "process"))  # for family.py

from arbiters import gunicorn  # noqa: E402, F401 - a fixture

AS_UVICORN = [sys.executable, "-m", "saltare.as_uvicorn"]


class Program(subprocess.Popen):
    def line(self):
        """The next line of its output; fails with its errors when there is none."""
        text = self.stdout.readline()
        assert text, self.stderr.read()
        return text.rstrip("\n")

    def end(self, number=None, timeout=30):
        """Its exit code and the rest of its output, after a signal if one is given."""
        if number is not None:
            self.send_signal(number)
        out, err = self.communicate(timeout=timeout)
        self.errors = err
        return self.returncode, out


@pytest.fixture
def program():
    """Starts a command, by default a function of embedded_apps with saltare in the place of uvicorn."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, command=(*AS_UVICORN, "embedded_apps.py"), **options):
            options = {"cwd": HERE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
            process = stack.enter_context(Program([*command, *map(str, arguments)], **options))
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture(autouse=True)
def loggers_as_before():
    """A Config changes loggers of the process."""
    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")]
    before = [(one.level, one.handlers[:], one.propagate) for one in loggers]
    yield
    for one, (level, handlers, propagate) in zip(loggers, before, strict=True):
        one.setLevel(level)
        one.handlers[:], one.propagate = handlers, propagate
    log.configure(sources.load("main:app", {}))
