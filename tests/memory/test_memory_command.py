"""`saltare memory`: what an app's memory is used for, as text and as a page."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from saltare.options import sources
from saltare.report.servers import PEERS

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROW = re.compile(r"^  (\S.*?)  +(-?[\d.]+) \( *(-?[\d.]+)\)", re.MULTILINE)


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "saltare", "memory", *map(str, arguments)],
        cwd=HERE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )


def rows(done):
    """Name -> (RSS, private), in MiB, of all tables."""
    assert done.returncode == 0, done.stderr
    return {name: (float(rss), float(private)) for name, rss, private in ROW.findall(done.stdout)}


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    """An app whose modules have a known size."""
    folder = tmp_path_factory.mktemp("heavy")
    Path(folder, "heavy_package").mkdir()
    Path(folder, "heavy_package", "__init__.py").write_text("from . import inner\nOWN = bytes(range(256)) * 8192\n")
    Path(folder, "heavy_package", "inner.py").write_text("OWN = bytes(range(256)) * 16384\nprint('noise')\n")
    Path(folder, "small_module.py").write_text("import heavy_package\nOWN = bytes(range(256)) * 4096\n")
    Path(folder, "app_heavy.py").write_text(
        "import small_module\n"
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    size = 0 if scope['path'] == '/none' else 1\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'%d' % size)]})\n"
        "    await send({'type': 'http.response.body', 'body': b'x' * size})\n"
    )
    return folder


def test_each_package_has_what_it_added(heavy):
    found = rows(run("app_heavy:app", "--app-dir", heavy, "--alone"))
    assert found["heavy_package"][0] == pytest.approx(6, abs=0.3)  # without the module that imports it
    assert found["small_module"][0] == pytest.approx(1, abs=0.3)  # without the modules it imports
    assert found["heavy_package"][1] == pytest.approx(6, abs=0.3)
    for name in (f"Python {sys.version.split()[0]}", "asyncio", "saltare", "its core, and Go"):
        assert name in found
    idle, used = found["idle, start-up's pages released"], found["after the sample load"]
    assert 10 < idle[0] <= used[0]


def test_options_and_peers(heavy):
    done = run("app_heavy:app", "--app-dir", heavy, "--path", "/", "--path", "/none", "--requests", 20)
    found = rows(done)
    assert "20 requests for /, /none" in done.stdout
    parked, used = found["--park-memory DIR"], found["python -OO (no docstrings, no asserts)"]
    assert parked[0] < used[0] - 6 or "not parked: " in done.stdout
    for name in ("uvicorn", "granian"):
        installed = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0
        assert (name in found) == installed


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_as_many_workers_and_the_same_app(name):
    command = PEERS[name](sources.load("module:make", {"workers": 3, "factory": True}, environ={}), "8123")
    assert {"module:make", "8123", "--factory"} < set(command)
    assert command[command.index("--workers") + 1] == "3"


def test_workers_are_counted_together(heavy):
    done = run("app_heavy:app", "--app-dir", heavy, "--workers", 2, "--alone")
    rows(done)
    assert "(3 processes, what they share counted once)" in done.stdout


def test_a_page(heavy, tmp_path):
    path = tmp_path / "report.html"
    rows(run("app_heavy:app", "--app-dir", heavy, "--alone", "--html", path))
    seen = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, dict(attrs)))

    Reader().feed(path.read_text())
    tags = [tag for tag, _ in seen]
    assert tags.count("svg") == 2 and "heavy_package" in path.read_text()
    assert not {"script", "img", "link"}.intersection(tags)  # the page is self-contained
    assert not any("src" in attributes or "href" in attributes for _, attributes in seen)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "app: none given"),
        (("app:app", "--wat"), 2, "--wat: unknown option; see saltare --help"),
        (("app:app", "--check"), 2, "--check: not accepted by saltare memory"),
        (("app:app", "--requests", "-1"), 2, "--requests: got -1; accepted: a whole number from 0 to 1000000"),
        (("app:app", "--workers", "x"), 2, "--workers: got 'x'"),
        (("no_such_module:app",), 3, 'there is no module "no_such_module"'),
    ],
)
def test_mistakes(arguments, code, said):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr and "Traceback" not in done.stderr


def test_an_app_that_does_not_start(tmp_path):
    Path(tmp_path, "app_failing.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    done = run("app_failing:app", "--app-dir", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "saltare: it did not start: saltare: the app's start-up failed: no database\n"
