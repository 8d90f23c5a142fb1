"""Recycling: a worker that has served enough, or is too large or too old, is replaced without a lost request."""

import marshal
import re
import time

import pytest

from family import Load, children, wait_for_rolls, wait_for_workers, workers
from harness import wait_until
from saltare.options import sources
from saltare.prefork.spawn import SERVING, STARTING
from saltare.prefork.workers import Workers

KEEP = pytest.mark.parametrize("keep", [True, False], ids=["kept", "closed"])


@KEEP
def test_by_requests_with_jitter(cli_server, keep):
    """Under load, several times; each worker draws its own limit."""
    options = ["--workers", "2", "--limit-max-requests", "150", "--limit-max-requests-jitter", "100"]
    server = cli_server("worker_apps:app", *options)
    with Load(server, clients=4, keep=keep, pause=0.001) as load:
        wait_for_rolls(server, 4)
        wait_until(lambda: len(set(load.answers)) >= 5, lambda: f"answers of {set(load.answers)} alone")
    assert load.failures == []
    counts = [int(count) for count in re.findall(r"is replaced: (\d+) requests", server.logs())]
    assert len(counts) >= 4
    assert min(counts) >= 150
    assert len(set(counts)) > 1
    assert server.stop() == 0


def test_a_single_worker_is_replaced_too(cli_server):
    server = cli_server("worker_apps:app", "--limit-max-requests", "100")
    assert len(workers(server)) == 1
    with Load(server, clients=3) as load:
        wait_for_rolls(server, 3)
    assert load.failures == []
    wait_for_workers(server, 1)


@KEEP
def test_by_memory(cli_server, raw, keep):
    server = cli_server("worker_apps:app", "--workers", "2", "--limit-max-rss", "150")
    before = workers(server)
    with Load(server, clients=3, keep=keep) as load:
        load.wait_for_answers_of(before)
        grown = int(raw(server).get("/grow/160").read_response().body)
        wait_for_workers(server, 2, without=[grown])
        load.wait_for_more(50)
    assert load.failures == []
    (line,) = re.findall(r"worker \d \(pid (\d+)\) is replaced: (\d+) MiB of resident memory", server.logs())
    assert int(line[0]) == grown and int(line[1]) >= 150
    assert set(before) - {grown} <= set(workers(server))


@KEEP
def test_by_lifetime(cli_server, keep):
    server = cli_server("worker_apps:app", "--workers", "2", "--limit-worker-lifetime", "1s")
    with Load(server, clients=3, keep=keep) as load:
        wait_for_rolls(server, 4)
    assert load.failures == []
    assert "is replaced: 1 s since its start" in server.logs()
    assert server.stop() == 0


def test_a_worker_does_not_become_younger_with_a_new_master():
    config = sources.load("main:app", {"workers": 1, "limit_worker_lifetime": 50}, environ={})
    for state in (SERVING, STARTING):
        first, successor = Workers(config, attempts=None), Workers(config, attempts=None)
        born = time.monotonic() - 20
        first.adopt([(1, 1, 1, -1, state, None, born)], at_limit=[])
        successor.adopt(marshal.loads(marshal.dumps(first.records())), at_limit=[])
        (worker,) = successor
        assert worker.born == born
        assert worker.deadline == born + (50 if state == SERVING else config.worker_start_timeout)


def test_the_age_of_a_worker_of_an_older_version_counts_from_now():
    config = sources.load("main:app", {"workers": 1}, environ={})
    adopting, now = Workers(config, attempts=None), time.monotonic()
    adopting.adopt([(1, 1, 1, -1, SERVING, None)], at_limit=[])
    assert next(iter(adopting)).born >= now


def test_without_a_request_nobody_is_replaced_for_its_requests(cli_server):
    server = cli_server("worker_apps:app", "--workers", "2", "--limit-max-requests", "1")
    before = workers(server)
    with Load(server, clients=1, pause=0.1):
        wait_for_rolls(server, 2)
    wait_until(lambda: len(children(server.pid)) == 2)
    settled = workers(server)
    assert settled != before


def test_a_successor_that_does_not_start_leaves_the_old_one(cli_server, raw, tmp_path):
    """It continues to serve, and the replacement is retried later."""
    env = {"MARKS": str(tmp_path), "STARTUP": "fails,3"}
    server = cli_server("worker_apps:app", "--workers", "2", "--limit-max-requests", "20", "--lifespan", "on", env=env)
    before = workers(server)
    with Load(server, clients=2) as load:
        server.wait_for_log("before it served; worker")
        load.wait_for_more(50)
    assert load.failures == []
    assert set(workers(server)) <= set(before) | set(children(server.pid))
    assert raw(server).get("/pid").read_response().body in [b"%d" % pid for pid in before]
