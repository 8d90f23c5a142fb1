"""Debian's HTTP tools as judges: h2load and ab count responses, slowhttptest checks that slow clients block nobody."""

import csv
import re
import subprocess

import pytest

from harness import HANG

REQUESTS = 20_000
SLOW = 200  # clients
SLOW_SECONDS = 15


@pytest.fixture(scope="module")
def server(module_cli_server):
    """Limits on slow clients far below what the tools wait for."""
    timeouts = [f"--{name}-timeout=5" for name in ("header", "body", "write", "keep-alive")]
    return module_cli_server("traffic_app:app", *timeouts)


def said_by(*command, timeout=10 * HANG):
    """The output of a tool, without colours."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout)


def figures(text, pattern):
    found = re.search(pattern, text)
    assert found, text
    return [int(group) for group in found.groups()]


@pytest.mark.parametrize("path", ["small/token", "large/token", "nothing"])
@pytest.mark.parametrize("pipelined", [1, 16])
def test_h2load(server, path, pipelined):
    requests = REQUESTS // 10 if path.startswith("large") else REQUESTS
    text = said_by("h2load", "--h1", "-n", requests, "-c", 50, "-m", pipelined, f"{server.url}/{path}")
    pattern = r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
    assert figures(text, pattern) == [requests, requests, 0, 0, 0]
    assert figures(text, r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx") == [requests, 0, 0, 0]


@pytest.mark.parametrize("kept", [[], ["-k"]], ids=["closed", "kept"])
def test_ab_speaks_http_1_0(server, kept):
    """ab checks that every body has the length of the first."""
    text = said_by("ab", "-q", *kept, "-n", REQUESTS // 4, "-c", 20, f"{server.url}/small/token")
    assert figures(text, r"Complete requests: +(\d+)\nFailed requests: +(\d+)\n") == [REQUESTS // 4, 0]
    assert "Non-2xx" not in text
    if kept:
        # every thousandth response is the last of its connection, and is not counted
        assert figures(text, r"Keep-Alive requests: +(\d+)")[0] > 0.99 * REQUESTS / 4


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        (["-H"], "small/token"),
        (["-B"], "echo/token"),
        (["-X", "-w", 10, "-y", 20, "-n", 1, "-z", 32], "huge"),
    ],
    ids=["slow head", "slow body", "slow reading"],
)
def test_slow_clients_keep_nobody_out(server, tmp_path, mode, path):
    """slowhttptest sends a probe request every second, and records whether a response came."""
    report = ["-g", "-o", tmp_path / "report", "-v", 1]
    clients = ["-c", SLOW, "-r", SLOW, "-i", 1, "-l", SLOW_SECONDS, "-p", HANG]
    text = said_by("slowhttptest", *mode, *clients, *report, "-u", f"{server.url}/{path}")
    with open(tmp_path / "report.csv") as file:
        rows = list(csv.DictReader(file))
    assert any(int(row["Connected"]) >= SLOW for row in rows), rows
    assert all(int(row["Service Available"]) > 0 for row in rows), rows
    if mode == [
        "-H"
    ]:  # in other attacks clients make progress, or have more to read after the close than the tool waits for
        assert "No open connections left" in text
