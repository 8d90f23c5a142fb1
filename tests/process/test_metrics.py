"""Metrics of several workers: whichever answers, the sums are those of all."""

import os
import signal

from exposition import scrape
from family import wait_for_workers, workers
from harness import wait_until

ARGS = ("--metrics-path", "/metrics", "--max-keepalive-requests", "0", "--lifespan", "off")


def start(cli_server, *args):
    return cli_server("worker_apps:app", "--workers", "3", *ARGS, *args)


def ask(raw, server, count):
    for _ in range(count):
        assert raw(server).get("/pid").read_response().status == 200


def test_whichever_worker_answers(cli_server, raw):
    server = start(cli_server)
    ask(raw, server, 40)
    for _ in range(10):
        seen = scrape(raw(server))
        assert seen["saltare_request_duration_seconds_count"] == 40
        assert seen["saltare_workers"] == 3
        assert set(seen["saltare_worker_requests_total"]) == {"1", "2", "3"}
        assert seen["saltare_process_resident_memory_bytes"] == sum(
            seen["saltare_worker_resident_memory_bytes"].values()
        )
        assert min(seen["saltare_worker_private_memory_bytes"].values()) > 0
    assert server.stop() == 0


def test_counters_never_go_back(cli_server, raw):
    """A worker that ends, is replaced or leaves keeps what it has counted."""
    server = start(cli_server)
    asked = 0
    for way in ("die", "hang up", "fewer"):
        ask(raw, server, 20)
        asked += 20
        before = workers(server)
        if way == "die":
            os.kill(before[0], signal.SIGKILL)
            wait_for_workers(server, 3, without=before[:1])
        elif way == "hang up":
            server.popen.send_signal(signal.SIGHUP)
            wait_for_workers(server, 3, without=before)
        else:
            server.popen.send_signal(signal.SIGTTOU)
            wait_for_workers(server, 2)
        wait_until(lambda: scrape(raw(server))["saltare_workers"] == len(workers(server)))
        seen = scrape(raw(server))
        assert seen["saltare_request_duration_seconds_count"] == asked
        assert seen["saltare_worker_restarts_total"] == 1
    assert server.stop() == 0


def test_a_worker_that_is_blocked_is_seen_by_the_others(cli_server, raw):
    server = start(cli_server)
    blocked = raw(server).get("/blocks/3")
    wait_until(lambda: scrape(raw(server))["saltare_app_longest_turn_seconds"] > 0.5)
    assert max(scrape(raw(server))["saltare_worker_in_flight_requests"].values()) == 1
    blocked.read_response()
    assert server.stop() == 0


def test_lost_lines_of_the_access_log(cli_server, raw):
    """Of all workers, also of those that have ended."""
    server = start(cli_server, "--access-log-path", "/dev/full")

    def lost():
        return scrape(raw(server))["saltare_access_log_lost_lines_total"]

    ask(raw, server, 20)
    wait_until(lambda: lost() == 20, lambda: f"{lost()} lines are lost")
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 3, without=before)
    ask(raw, server, 10)
    wait_until(lambda: lost() == 30, lambda: f"{lost()} lines are lost")
    assert server.stop() == 0
