"""gocore/main.go is the map of the core: it lists every file of the core, and every name on it exists."""

import pathlib
import re
import shutil
import subprocess

import pytest

CORE = pathlib.Path(__file__).resolve().parents[2] / "gocore"
SOURCES = {".go", ".c", ".h"}


def map_lines():
    text = (CORE / "main.go").read_text().split("\npackage main\n")[0]
    return [line.removeprefix("//") for line in text.splitlines()]


def files_on_the_map():
    """Names with a path are in gocore, as are names without, unless their line or an earlier one names a folder."""
    found, folder = set(), ""
    for line in map_lines():
        if not line.startswith("\t"):
            folder = ""
        elif heading := re.match(r"\t(\S.*?): ", line):
            folder = heading[1] if heading[1].endswith("/") else ""
        for name in re.findall(r"[\w/]+\.(?:go|c|h)\b", line):
            found.add(name if "/" in name else folder + name)
    return found


def files_of_the_core():
    every = (path for path in CORE.rglob("*") if path.suffix in SOURCES and not path.name.endswith("_test.go"))
    return {path.relative_to(CORE).as_posix() for path in every}


def test_every_file_of_the_core_is_on_the_map():
    assert files_of_the_core() - files_on_the_map() == set()


def test_every_file_on_the_map_exists():
    assert files_on_the_map() - files_of_the_core() == set()


def test_every_function_on_the_map_exists():
    """Names of functions before a colon or after a call, such as Readable and Streams.Command."""
    code = "\n".join((CORE / name).read_text() for name in files_of_the_core() if name != "main.go")
    named = set(
        re.findall(
            r"\b(?:[A-Z][a-z]+\.)?(?:[A-Z][a-z]+){2,}\b|\b(?:Loop|Streams|Input)\.[A-Z]\w+|\bsaltare_[a-z]+\b",
            "\n".join(map_lines()),
        )
    )
    functions = {name.rpartition(".")[2] for name in named} - {"WebSocket", "WebSockets"}
    assert {"WorkOff", "ParseHead", "Unpark", "saltare_turn"} <= functions
    assert [name for name in functions if not re.search(rf"\b{name}\(", code)] == []


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not on the PATH")
def test_packages_use_only_those_after_them_on_the_map():
    order = [m[1] for line in map_lines() if (m := re.match(r"\tinternal/(\w+)/: ", line))]
    assert set(order) == {path.name for path in (CORE / "internal").iterdir() if path.is_dir()}
    prefix = "saltare/gocore/internal/"
    listing = subprocess.run(
        ["go", "list", "-f", '{{.ImportPath}} {{join .Imports " "}}', "./gocore/internal/..."],
        cwd=CORE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listing.stdout.splitlines():
        package, *used = (name.removeprefix(prefix) for name in line.split() if name.startswith(prefix))
        assert [other for other in used if order.index(other) <= order.index(package)] == [], package


def test_only_the_transport_reaches_sockets():
    importers = {
        path.parent.name
        for path in (CORE / "internal").rglob("*.go")
        if '"saltare/gocore/internal/sock"' in path.read_text()
    }
    assert importers == {"transport"}
    calls = re.compile(r"sock\.(Read|Write|SendFile)\(|iov\.Write\(")
    callers = {path.name for path in (CORE / "internal/transport").glob("*.go") if calls.search(path.read_text())}
    assert callers == {"read.go", "write.go", "queue.go", "sendfile.go", "tls_write.go"}
