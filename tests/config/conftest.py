"""Shared by the configuration tests: loading without this machine's environment, and the command."""

import os
import subprocess
import sys

import pytest

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
