"""Workers share what the master has imported, and return pages that they have only touched."""

import os
import signal

import pytest
from measure import held, held_in

from family import maps, wait_for_workers, workers
from harness import wait_until

APP = """
TABLE = [{"name": f"item {number}", "tags": [str(number)] * 5} for number in range(40_000)]

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
    body = b"%d" % sum(len(one["tags"]) for one in TABLE)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def served(cli_server, tmp_path):
    (tmp_path / "tables.py").write_text(APP)
    return lambda *options, **popen: cli_server("tables:app", *options, cwd=tmp_path, **popen)


def shares(pid):
    return "/memfd:saltare-heap" in maps(pid)


def shares_changes(pid):
    return "/memfd:saltare-pool" in maps(pid)


def test_master_and_workers_share_it(served, raw):
    server = served("--workers", "2")
    pids = workers(server)
    assert [shares(pid) for pid in (server.pid, *pids)] == [True] * 3
    assert all(map(shares_changes, pids))
    assert raw(server).get("/all").read_response().body == b"200000"
    assert server.stop() == 0


@pytest.mark.parametrize("options", [("--no-preload",), ()], ids=["no preload", "another allocator"])
def test_where_it_cannot_they_serve_all_the_same(served, raw, options):
    environment = dict(os.environ) if options else {**os.environ, "PYTHONMALLOC": "malloc"}
    server = served("--workers", "2", "--log-level", "debug", *options, env=environment)
    assert not any(shares(pid) for pid in (server.pid, *workers(server)))
    assert held(server.pid)[0] < 128 << 10
    if not options:
        server.wait_for_log("workers share only what fork shares: PYTHONMALLOC is malloc")
    assert raw(server).get("/all").read_response().body == b"200000"
    assert server.stop() == 0


def test_one_that_comes_later_shares_what_they_have_changed(served, raw):
    server = served("--workers", "2")
    first, _ = workers(server)
    os.kill(first, signal.SIGKILL)
    wait_for_workers(server, 2, without=[first])
    wait_until(lambda: all(map(shares_changes, workers(server))))
    assert raw(server).get("/all").read_response().body == b"200000"
    assert server.stop() == 0


def written(pid):
    """KiB of the shared heap that a process has written to, and so holds privately."""
    return held_in(pid, "Anonymous", "/memfd:saltare-heap")


def test_what_was_only_touched_goes_back_in_a_quiet_period(served, raw):
    server = served("--workers", "1", "--limit-max-requests", "1000000", "--keep-alive-timeout", "60")
    (worker,) = workers(server)
    client = raw(server)
    wait_until(
        lambda: written(worker) < 1024, lambda: f"{written(worker)} KiB"
    )  # later, where a thread ran at the start
    before = written(worker)
    assert client.get("/all").read_response().body == b"200000"
    after = written(worker)
    assert after > before + 2048, (before, after)  # every reference count went up, and down again
    wait_until(lambda: written(worker) < before + 1024, lambda: f"{before} KiB, {after}, {written(worker)}")
    assert client.get("/all").read_response().body == b"200000"
    assert server.stop() == 0


LATER = """
import asyncio, os

tables = app

def touch():
    total = sum(len(one["tags"]) for one in TABLE)
    with open(f"touched-{os.getpid()}", "w") as file:
        file.write(str(total))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        asyncio.get_running_loop().call_later(0.2, touch)
    await tables(scope, receive, send)
"""


def test_what_the_start_touches_last_goes_back_without_a_request(served, tmp_path):
    table = tmp_path / "tables.py"
    table.write_text(table.read_text() + LATER)
    server = served("--workers", "1", "--limit-max-requests", "1000000")
    (worker,) = workers(server)
    wait_until((tmp_path / f"touched-{worker}").exists)
    wait_until(lambda: written(worker) < 1536, lambda: f"{written(worker)} KiB")
    assert server.stop() == 0


ALIKE = """
import os

def tell():
    places = [id(bytes(size)) for size in range(0, 480, 16)]
    with open(f"places-{os.getpid()}", "w") as file:
        file.write(str(places))

os.register_at_fork(after_in_child=tell)
"""


def test_workers_begin_alike(served, tmp_path):
    """The first objects of each worker lie at the same address, so that pages with equal changes can be shared."""
    table = tmp_path / "tables.py"
    table.write_text(ALIKE + table.read_text())
    server = served("--workers", "12")
    pids = workers(server)
    assert len(pids) == 12
    assert len({(tmp_path / f"places-{pid}").read_text() for pid in pids}) == 1
    assert server.stop() == 0
