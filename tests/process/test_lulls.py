"""What is done when the app has been silent for a while, and after so many requests. Per process."""

import json
import time

import pytest
from measure import held_in

from harness import wait_until

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture
def report(tmp_path, monkeypatch):
    path = tmp_path / "report"
    path.touch()
    monkeypatch.setenv("LULL_REPORT", str(path))
    return path


@LOOPS
def test_garbage_is_collected_in_a_lull(cli_server, raw, report, loop):
    """Each time; with a connection open, which stays."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("lull_apps:littering", "--loop", loop, "--keep-alive-timeout", 60)
    client = raw(server)
    for number in (1, 2):
        assert client.get().read_response().body == b"littered"
        wait_until(lambda number=number: report.read_text() == "collected\n" * number, report.read_text)


def code(pid):
    """KiB of code in memory, whatever it is from."""
    return held_in(pid, " r-xp ", "Rss")


@LOOPS
def test_code_that_was_needed_goes_in_a_lull(cli_server, raw, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("lull_apps:counting", "--loop", loop, "--keep-alive-timeout", 60)
    client = raw(server)
    for _ in range(2):
        client.get().read_response()
        busy = code(server.pid)
        wait_until(lambda busy=busy: code(server.pid) < busy - 128, lambda busy=busy: f"{busy} KiB, {code(server.pid)}")


def test_a_worker_collects_too(cli_server, raw, report):
    server = cli_server("lull_apps:littering", "--workers", 2)
    assert raw(server).get().read_response().body == b"littered"
    wait_until(lambda: report.read_text() == "collected\n", report.read_text)


def test_an_app_without_a_collector_keeps_its_garbage(cli_server, raw, report):
    server = cli_server("lull_apps:without_collector")
    assert raw(server).get().read_response().body == b"littered"
    time.sleep(4)
    assert report.read_text() == ""


def test_collections_after_so_many_requests(cli_server, raw):
    server = cli_server("lull_apps:counting", "--gc-collect-every-n-requests", 3)
    client = raw(server)
    told = [json.loads(client.get().read_response().body) for _ in range(10)]
    assert [youngest for youngest, _, _ in told] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert all((middle, oldest) == (0, 0) for _, middle, oldest in told)
