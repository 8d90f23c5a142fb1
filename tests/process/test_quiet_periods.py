"""What the server does when the app has been idle for a while, and after a number of requests."""

import asyncio
import ctypes
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from measure import held_in

from family import wait_for_workers
from harness import wait_until

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture
def report(tmp_path, monkeypatch):
    path = tmp_path / "report"
    path.touch()
    monkeypatch.setenv("QUIET_REPORT", str(path))
    return path


@LOOPS
def test_garbage_is_collected_in_a_quiet_period(cli_server, raw, report, loop):
    """In each quiet period; with a connection that stays open."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("garbage_apps:littering", "--loop", loop, "--keep-alive-timeout", 60)
    client = raw(server)
    for number in (1, 2):
        assert client.get().read_response().body == b"littered"
        wait_until(lambda number=number: report.read_text() == "collected\n" * number, report.read_text)


def code(pid):
    """KiB of resident code, from any file."""
    return held_in(pid, "Rss", " r-xp ")


@LOOPS
def test_code_that_was_needed_goes_in_a_quiet_period(cli_server, raw, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("garbage_apps:counting", "--loop", loop, "--keep-alive-timeout", 60)
    client = raw(server)
    for _ in range(2):
        client.get().read_response()
        busy = code(server.pid)
        wait_until(lambda busy=busy: code(server.pid) < busy - 128, lambda busy=busy: f"{busy} KiB, {code(server.pid)}")


def interpreter():
    """The file that contains the interpreter's code: libpython, or the program."""
    address = ctypes.cast(ctypes.pythonapi.PyEval_SaveThread, ctypes.c_void_p).value
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
        if start <= address < end:
            return line.split(maxsplit=5)[5]
    raise AssertionError(f"nothing is mapped at {address:#x}")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_leads_to_the_wait_goes_as_well(cli_server, raw, workers):
    """The interpreter's code, which the wait does not need, and each library's first page, which lists its segments."""
    server = cli_server("garbage_apps:counting", "--workers", workers)
    client = raw(server)
    client.get().read_response()
    pids = wait_for_workers(server, workers) if workers > 1 else [server.pid]

    def held(*marks):
        return [held_in(pid, "Rss", *marks) for pid in pids]

    assert held_in(os.getpid(), "Rss", " r-xp ", interpreter()) > 0
    for marks in ((" r-xp ", interpreter()), (" r--p 00000000 ", "/lib-dynload/")):
        wait_until(lambda marks=marks: not any(held(*marks)), lambda marks=marks: f"{marks}: {held(*marks)} KiB")


def test_a_worker_collects_too(cli_server, raw, report):
    server = cli_server("garbage_apps:littering", "--workers", 2)
    assert raw(server).get().read_response().body == b"littered"
    wait_until(lambda: report.read_text() == "collected\n", report.read_text)


def test_an_app_without_a_collector_keeps_its_garbage(cli_server, raw, report):
    server = cli_server("garbage_apps:without_collector")
    assert raw(server).get().read_response().body == b"littered"
    time.sleep(4)
    assert report.read_text() == ""


@LOOPS
def test_where_a_full_collection_would_take_long_it_is_left_out(cli_server, raw, report, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("garbage_apps:growing", "--loop", loop)
    assert raw(server).get().read_response().body == b"grown"
    wait_until(report.read_text)
    assert server.stop() == 0
    assert report.read_text().splitlines()[0] == "generation 1"


def test_collections_after_so_many_requests(cli_server, raw):
    server = cli_server("garbage_apps:counting", "--gc-collect-every-n-requests", 3)
    client = raw(server)
    told = [json.loads(client.get().read_response().body) for _ in range(10)]
    assert [youngest for youngest, _, _ in told] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert all((middle, oldest) == (0, 0) for _, middle, oldest in told)


def test_the_table_of_tasks_shrinks(serve, raw):
    """A dict keeps the memory of its largest size."""
    from saltare._core import Starter

    gate = threading.Event()

    async def app(scope, receive, send):
        while not gate.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    def starters():
        return [one for one in gc.get_objects() if type(one) is Starter]

    before = starters()  # of servers that have ended
    server = serve(app, lifespan="off")
    (starter,) = (one for one in starters() if not any(one is other for other in before))
    peers = [raw(server).get() for _ in range(300)]
    wait_until(lambda: len(starter.tasks) == len(peers))
    large = sys.getsizeof(starter.tasks)
    gate.set()
    for peer in peers:
        assert peer.read_response().status == 200
    wait_until(lambda: sys.getsizeof(starter.tasks) < large / 10)
