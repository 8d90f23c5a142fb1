"""Shared by the configuration tests: loading without this machine's environment, the command, and logging."""

import json
import logging
import os
import shlex
import subprocess
import sys

import pytest

from app_paths import project  # noqa: F401 - a fixture
from saltare import log
from saltare.launch.arguments import Line
from saltare.options import sources


def surroundings(**added):
    """This process's environment without saltare's options, plus the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SALTARE_")}
    return {**kept, **added}


@pytest.fixture
def load(tmp_path):
    """sources.load for main:app in an empty folder with an empty environment."""

    def loaded(given=None, env=None, app="main:app", **more):
        return sources.load(app, given or {}, environ=env or {}, cwd=tmp_path, **more)

    return loaded


@pytest.fixture
def refused(load):
    """The message of the ConfigError that a load raises."""

    def line(*arguments, **more):
        with pytest.raises(config_error()) as caught:
            load(*arguments, **more)
        text = str(caught.value)
        assert text and "\n" not in text
        return text

    return line


def config_error():
    from saltare.errors import ConfigError

    return ConfigError


@pytest.fixture
def command(tmp_path):
    """Runs `python -m saltare` in an empty folder until it exits."""

    def run(*arguments, env=None, flags=(), **more):
        return subprocess.run(
            [sys.executable, *flags, "-m", "saltare", *arguments],
            cwd=tmp_path,
            env=surroundings(**(env or {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    return run


@pytest.fixture
def typed(tmp_path):
    """The Config of a command line, in an empty folder with this environment."""

    def config(text, **env):
        line = Line(shlex.split(text))
        return sources.load(
            None, line.given, environ=env, cwd=tmp_path, source=sources.COMMAND_LINE, problems=line.problems
        )

    return config


@pytest.fixture
def problems(typed):
    """The problems of a command line."""

    def lines(text, **env):
        with pytest.raises(config_error()) as caught:
            typed(text, **env)
        return list(caught.value.problems)

    return lines


# ---- logging ----

OWN = ("saltare", "saltare.error", "saltare.access", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


@pytest.fixture
def fresh_log(monkeypatch):
    """saltare's state and loggers, as in a new process."""
    for name, value in (("_level", 20), ("_asked_for", False), ("_applied", None), ("_given", {}), ("_theirs", None)):
        monkeypatch.setattr(log, name, value)
    state = [(one, one.level, one.handlers[:]) for one in map(logging.getLogger, OWN)]
    for one, *_ in state:
        one.setLevel(logging.NOTSET)
    monkeypatch.setattr(logging.root, "level", logging.WARNING)  # log files of tests change it
    yield
    for one, level, handlers in state:
        one.setLevel(level)
        one.handlers[:], one.propagate, one.disabled = handlers, True, False


@pytest.fixture
def configure(tmp_path):
    def apply(**given):
        log.configure(sources.load("main:app", given, environ={}, cwd=tmp_path))

    return apply


@pytest.fixture
def root(monkeypatch):
    """Gives the root logger these handlers. Call it in the test, since pytest adds its own after the fixtures."""

    def having(*handlers):
        monkeypatch.setattr(logging.root, "handlers", list(handlers))

    return having


@pytest.fixture
def doctor(command, tmp_path):
    """The JSON report of a line, and the exit code."""
    (tmp_path / "main.py").write_text("open('imported', 'w')\n")

    def report(*arguments, **more):
        done = command("doctor", "--json", *arguments, **more)
        assert done.stderr == ""
        assert not (tmp_path / "imported").exists()
        return json.loads(done.stdout), done.returncode

    return report
