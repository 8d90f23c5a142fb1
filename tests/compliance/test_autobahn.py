"""Autobahn's fuzzing client judges the WebSocket: hundreds of conversations, each with its own verdict.

The suite needs Python 2.7 (PYTHON27 names the interpreter) and is skipped without it. A full run takes half an hour,
mostly for compression: ARGS="--sections 1,2" selects sections.
"""

import collections
import json
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

TABLE = Path(__file__).parent / "autobahn.md"
SUITE = "autobahntestsuite==25.10.1"
SECTIONS = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "close",
    9: "limits, performance",
    10: "automatic fragmentation",
    12: "compression of different payloads",
    13: "compression with different parameters",
}
COMPRESSED = (12, 13)
CONTEXT = ", with context"
REASONS = {
    "7.1.6": "the suite only looks whether 256 KiB before a Close are echoed: ours may be, or not, since the Close is answered at once",
    "7.13.1": "the suite only looks at what becomes of close code 5000: it is refused with 1002",
    "7.13.2": "the suite only looks at what becomes of close code 65536: it is refused with 1002",
}


def python27():
    home = Path.home() / ".pyenv/versions"
    found = [os.environ.get("PYTHON27"), *sorted(map(str, home.glob("2.7*/bin/python2.7"))), shutil.which("python2.7")]
    found = next((path for path in found if path), None)
    if found is None:
        warnings.warn(pytest.PytestWarning("SKIPPED: Autobahn needs a Python 2.7"), stacklevel=2)
        pytest.skip("there is no Python 2.7 for Autobahn")
    return found


@pytest.fixture(scope="module")
def wstest(pytestconfig):
    """The suite's program, in a virtual environment that is kept."""
    home = pytestconfig.cache.mkdir("autobahn")
    program = home / "bin" / "wstest"
    if not program.exists():
        python = python27()
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--user", "virtualenv"], check=True)
        subprocess.run([python, "-m", "virtualenv", "--quiet", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", SUITE], check=True)
    return program


def verdicts(wstest, folder, server, sections):
    """{case: (behaviour, behaviour of the close)}"""
    specification = {
        "outdir": str(folder / "reports"),
        "servers": [{"agent": "saltare", "url": server.url.replace("http", "ws")}],
        "cases": [f"{section}.*" for section in sections],
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "fuzzing.json").write_text(json.dumps(specification))
    command = [wstest, "-m", "fuzzingclient", "-s", folder / "fuzzing.json"]
    with open(folder / "output", "wb") as output:
        subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=True)
    found = json.loads((folder / "reports" / "index.json").read_text())["saltare"]
    return {case: (one["behavior"], one["behaviorClose"]) for case, one in found.items()}


def table(found):
    lines = [
        "# Autobahn",
        "",
        f"What `{SUITE}` says of saltare, as `make compliance ARGS=--regenerate` writes it down.",
        "",
        "| section | cases | OK | INFORMATIONAL | other |",
        "|---|---:|---:|---:|---:|",
    ]
    rows = [(section, title, "") for section, title in SECTIONS.items()]
    rows += [(section, SECTIONS[section], CONTEXT) for section in COMPRESSED]
    for section, title, mode in rows:
        kinds = collections.Counter(
            one
            for case, (one, _) in found.items()
            if case.split(".")[0] == str(section) and case.endswith(CONTEXT) == bool(mode)
        )
        ok, informational = kinds.pop("OK", 0), kinds.pop("INFORMATIONAL", 0)
        other = sum(kinds.values())
        lines.append(f"| {section} {title}{mode} | {ok + informational + other} | {ok} | {informational} | {other} |")
    lines += ["", "Every close is clean. Not OK, and why:", "", "| case | verdict | reason |", "|---|---|---|"]
    lines += [f"| {case} | {found[case][0]} | {REASONS[case]} |" for case in sorted(unusual(found))]
    return "\n".join(lines) + "\n"


def unusual(found):
    return {case for case, (behaviour, _) in found.items() if behaviour != "OK"}


@pytest.mark.timeout(3600)
def test_autobahn(wstest, tmp_path, cli_server, pytestconfig):
    chosen = pytestconfig.getoption("sections")
    sections = [int(one) for one in chosen.split(",")] if chosen else list(SECTIONS)
    options = ("--lifespan", "off", "--ws-max-size", "32MiB", "--ws-per-message-deflate")
    found = verdicts(wstest, tmp_path, cli_server("autobahn_app:app", *options), sections)
    if compressed := [one for one in sections if one in COMPRESSED]:
        server = cli_server("autobahn_app:app", *options, "--ws-deflate-context")
        more = verdicts(wstest, tmp_path, server, compressed)
        found |= {case + CONTEXT: verdict for case, verdict in more.items()}
    assert found and not {case for case, both in found.items() if not {"OK", "INFORMATIONAL"}.issuperset(both)}
    assert unusual(found) == {case for case in REASONS if int(case.split(".")[0]) in sections}
    if chosen:
        return
    if pytestconfig.getoption("regenerate"):
        TABLE.write_text(table(found))
    assert TABLE.read_text() == table(found)
