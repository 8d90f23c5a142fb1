"""Every name that another server's own help, functions or settings show has an option or a row in options/foreign.py."""

import inspect
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from saltare.launch.arguments import ACTIONS, OWN
from saltare.options import foreign, table

FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z0-9_-]*[a-z0-9]|-[a-zA-Z])(?![\w-])")
HELP = 60  # seconds
# In a help text, but no options: words of sentences, and click's own.
NO_OPTIONS = {"--help", "-h", "--version", "-v", "-V", "--install-completion", "--show-completion"}
# Parameters that are not options, and settings that are actions here.
NO_KEYWORDS = {"app", "self", "target", "print_config"}


def unknown_flags(names):
    known = {*OWN, *ACTIONS, *NO_OPTIONS}
    return sorted(name for name in names if name not in known and not has_row(name))


def has_row(name):
    """As the command line looks a flag up."""
    word = name if len(name) == 2 else name[2:].replace("-", "_")
    row = foreign.BY_NAME.get(word) or foreign.BY_NAME.get(word.removeprefix("no_"))
    return row is not None


def unknown_keywords(names):
    return sorted(name for name in names if name not in {*table.BY_NAME, *foreign.BY_NAME, *NO_KEYWORDS})


def help_of(command, least=20, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=HELP, check=True, **more)
    flags = set(FLAG.findall(done.stdout))
    assert len(flags) > least, done.stdout
    return flags


def parameters(function):
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize("module", ["uvicorn", "gunicorn", "granian", "hypercorn"])
def test_flags(module):
    pytest.importorskip(module)
    environment = {**os.environ, "COLUMNS": "400", "TERM": "dumb"}
    command = [Path(sys.executable).with_name(module), "--help"]
    assert unknown_flags(help_of(command, env=environment)) == []


@pytest.mark.parametrize("command", ["run", "dev"])
def test_flags_of_fastapi(command):
    pytest.importorskip("fastapi_cli")
    environment = {**os.environ, "COLUMNS": "400", "TERM": "dumb"}
    flags = help_of([Path(sys.executable).with_name("fastapi"), command, "--help"], least=10, env=environment)
    assert unknown_flags(flags - {"--app"}) == []  # which launch/arguments.py reads itself


def test_keywords_of_uvicorn():
    uvicorn = pytest.importorskip("uvicorn")
    assert unknown_keywords(parameters(uvicorn.run) | parameters(uvicorn.Config)) == []


def test_settings_of_gunicorn():
    config = pytest.importorskip("gunicorn.config")
    assert unknown_keywords(config.make_settings()) == []


def test_keywords_of_granian():
    from granian.server.common import AbstractServer

    assert unknown_keywords(parameters(AbstractServer.__init__)) == []


def test_settings_of_hypercorn():
    Config = pytest.importorskip("hypercorn.config").Config
    settings = {name for name, value in vars(Config).items() if not name.startswith("_") and not callable(value)}
    settings |= {name for name in Config.__annotations__ if not name.startswith("_")}
    assert unknown_keywords(settings - METHODS) == []


# Neither settings nor callable: what hypercorn makes of its settings.
METHODS = {"log", "ssl_enabled", "from_mapping", "from_pyfile", "from_toml", "from_object"}


def test_the_zig_saltare(tmp_path):
    """It has our name, so it cannot be installed beside us: its wheel is unpacked, and its command line run from there."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    got = subprocess.run(
        [*pip, "--dest", tmp_path, "saltare>=1.13,<2"], capture_output=True, text=True, timeout=600, check=False
    )
    wheels = list(tmp_path.glob("*.whl"))
    if not wheels:
        pytest.skip(f"its wheel cannot be downloaded: {got.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(tmp_path / "zig")
    code = """
import inspect, runpy, sys
import saltare
print("\\n".join(inspect.signature(saltare.run).parameters), "\\n#")
sys.argv = ["saltare", "--help"]
runpy.run_module("saltare", run_name="__main__", alter_sys=True)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "zig"), "COLUMNS": "400", "SALTARE_NO_OPTIMIZE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=HELP,
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    keywords, _, text = done.stdout.partition("#")
    flags = set(FLAG.findall(text))
    assert len(flags) > 60
    assert unknown_flags(flags) == []
    assert unknown_keywords(keywords.split()) == []


def test_a_name_without_a_row_is_found():
    assert unknown_flags({"--prot", "--no-prot", "--port", "-w", "-Z"}) == ["--no-prot", "--prot", "-Z"]
    assert unknown_keywords({"prot", "port", "reload_dirs"}) == ["prot"]
