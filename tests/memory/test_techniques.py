"""Each technique that saves memory can be turned off by name, and the documentation page lists all of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import Process
from saltare.errors import ConfigError
from saltare.options import sources, techniques
from saltare.options.techniques import NEWEST_TESTED, TECHNIQUES, is_on, untested

PAGE = Path(__file__).parents[2] / "docs" / "memory.md"
NAMES = [name for name, _, _ in TECHNIQUES]
SAFE = ["malloc-settings", "start-up-pages", "collection", "trimming"]
OF_PROCESS = {"lazy-ssl", "shared-code", "collection", "malloc-settings"}  # one process can report these


def test_the_page_has_a_row_for_each():
    rows = re.findall(r"^\| `([a-z-]+)` \| (yes|no) \|", PAGE.read_text(), re.M)
    assert rows == [(name, "yes" if safe else "no") for name, safe, _ in TECHNIQUES]
    assert "newest one tested ({}.{})".format(*NEWEST_TESTED) in PAGE.read_text()


def test_each_does_what_its_row_says_and_that_is_asked_for_somewhere():
    package = Path(techniques.__file__).parents[1]
    code = "".join(path.read_text() for path in package.rglob("*.py"))
    for name in NAMES:
        assert code.count(f'uses("{name}")') >= 1, name
    assert set(re.findall(r'uses\("([^"]*)"\)', code)) == set(NAMES)


# ---- by configuration ----------------------------------------------------------------------------------------------


def test_lean_is_all_of_them_and_safe_is_some():
    assert [name for name in NAMES if sources.load("main:app", {}).uses(name)] == NAMES
    assert [name for name in NAMES if sources.load("main:app", {"memory": "safe"}).uses(name)] == SAFE


@pytest.mark.parametrize("name", NAMES)
def test_one_is_left_out(name):
    for given in (name, [name], f" {name} ,{name}"):
        loaded = sources.load("main:app", {"memory_without": given})
        assert [one for one in NAMES if not loaded.uses(one)] == [name]


@pytest.mark.parametrize("given", ["fred", "lazy-ssl,fred", ["lazy-ssl", "fred"], "Lazy-SSL", "parking"])
def test_an_unknown_name_is_refused(given):
    with pytest.raises(ConfigError) as error:
        sources.load("main:app", {"memory_without": given})
    wrong = given[-1] if isinstance(given, list) else given.rpartition(",")[2]
    assert f"(unknown technique {wrong!r}); accepted: malloc-settings, start-up-pages" in str(error.value)


def command(*arguments):
    words = [sys.executable, "-m", "saltare", "main:app", "--check", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True)


def test_on_the_command_line_it_may_be_repeated(tmp_path):
    assert command("--memory-without", "lazy-ssl,shared-code", "--memory-without", "shared-heap").returncode == 0
    shown = command("--memory-without", "lazy-ssl,shared-code", "--memory-without", "shared-heap", "--print-config")
    assert shown.returncode == 2  # one action at a time
    done = command("--memory-without", "fred")
    assert done.returncode == 2 and "--memory-without" in done.stderr and "unknown technique 'fred'" in done.stderr


def test_parking_is_not_safe(tmp_path):
    done = command("--memory", "safe", "--park-memory", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("saltare: --memory and --park-memory contradict each other: got 'safe' and ")
    assert command("--memory", "lean", "--park-memory", tmp_path).returncode == 0


# ---- by interpreter ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "flags", "why"),
    [
        ("cpython", NEWEST_TESTED, "", None),
        ("cpython", (NEWEST_TESTED[0], NEWEST_TESTED[1] + 1), "", "is newer than"),
        ("cpython", (3, 11), "d", "debug build"),
        ("cpython", (3, 13), "t", "free-threaded"),
        ("pypy", (3, 11), "", "not CPython"),
    ],
)
def test_an_interpreter_that_was_never_tried(monkeypatch, name, version, flags, why):
    fake = SimpleNamespace(implementation=SimpleNamespace(name=name), version_info=(*version, 0), abiflags=flags)
    monkeypatch.setattr(techniques, "sys", fake)
    assert (untested() is None) if why is None else (why in untested())
    loaded = sources.load("main:app", {})
    assert [one for one in NAMES if is_on(loaded, one)] == (NAMES if why is None else SAFE)


@pytest.fixture
def newer_server(disk, tmp_path):
    """A server of the command line, in the interpreter that it would exec, so that nothing prevents an exec."""
    code = (
        "import saltare.options.techniques as it; it.NEWEST_TESTED = (3, 1)\n"
        "from saltare.launch import run\nfrom saltare.options import sources\n"
        f"given = sources.load('technique_apps:app', {{'park_memory': {str(disk)!r}, 'port': 0}})\n"
        "raise SystemExit(run.serve(given, lambda: run.clean_server(given, True))[0])"
    )
    root = Path(techniques.__file__).parents[2]
    server = Process(
        [sys.executable, "-c", code],
        tmp_path / "stderr",
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    yield server
    server.end()


def told(raw, server):
    return json.loads(raw(server).get().read_response().body)


def test_a_server_on_a_newer_interpreter(newer_server, raw):
    server = newer_server
    why = "Python {}.{} is newer than 3.1, the newest one tested".format(*sys.version_info)
    server.wait_for_log(f"INFO memory techniques are those of --memory safe: {why}")
    server.wait_for_log(f"WARNING memory is not parked: {why}")
    assert server.logs().count("memory techniques") == 1
    assert {name for name, on in told(raw, server).items() if on} == {"collection", "malloc-settings"}
    assert server.stop() == 0


# ---- in a server ---------------------------------------------------------------------------------------------------


def test_a_server_uses_them(cli_server, raw):
    server = cli_server("technique_apps:app")
    assert {name for name, on in told(raw, server).items() if on} == OF_PROCESS
    assert "memory techniques" not in server.logs()


@pytest.mark.parametrize("name", sorted(OF_PROCESS))
def test_a_server_does_without_one(cli_server, raw, name):
    server = cli_server("technique_apps:app", "--memory-without", name)
    assert {one for one, on in told(raw, server).items() if on} == OF_PROCESS - {name}


@pytest.mark.parametrize(
    ("options", "shares"), [((), True), (("--memory", "safe"), False), (("--memory-without", "shared-heap"), False)]
)
def test_workers(cli_server, raw, options, shares):
    server = cli_server("technique_apps:app", "--workers", 2, *options)
    assert told(raw, server)["shared-heap"] is shares
    assert server.stop() == 0
