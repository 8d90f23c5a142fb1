"""Projects in the working directory, and what a command line finds there."""

import shlex
import sys

import pytest

from saltare.app import importer
from saltare.errors import AppError, ConfigError
from saltare.launch.arguments import Line
from saltare.options import sources

APP = "async def app(scope, receive, send): ...\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes files into the working directory; modules imported from there are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(*names, **texts):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("" if name.endswith("__init__.py") else texts.get("text", APP))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if not name.startswith("saltare."):
            del sys.modules[name]


def typed(text, **env):
    line = Line(shlex.split(text))
    return sources.load(
        None, line.given, environ=env, source=sources.COMMAND_LINE, problems=line.problems, command=line.command
    )


def found(text, **env):
    """The app that a command line serves, as module:attribute."""
    return importer.find(typed(text, **env))[0]


def refused(text, **env):
    with pytest.raises(ConfigError) as caught:
        typed(text, **env)
    (line,) = caught.value.problems
    return line


def failed(text):
    with pytest.raises(AppError) as caught:
        found(text)
    return str(caught.value)
