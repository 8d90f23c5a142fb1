"""Servers in threads: any number, in parallel and one after another, and none leaves anything behind."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import saltare

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("TEST_ROUNDS", 400))  # 20,000 for a long soak
MIB = 1 << 20


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def in_thread(server):
    """Runs a server by run() in a thread; returns the thread and a list that gets its result."""
    ended = []

    def run():
        try:
            ended.append(server.run())
        except BaseException as error:
            ended.append(error)

    accepting = threading.Event()
    server.after_start = accepting.set
    thread = threading.Thread(target=run)
    thread.start()
    assert accepting.wait(30)
    return thread, ended


def stop(server, thread):
    server.shutdown()
    thread.join(30)
    assert not thread.is_alive()


def test_run_returns_after_a_graceful_stop(raw):
    server = saltare.Server(app, port=0, lifespan="off")
    thread, ended = in_thread(server)
    assert server.started and server.url
    assert raw(server_port(server)).get().read_response().body == b"hello"
    stop(server, thread)
    assert ended == [None]
    assert server.graceful
    assert not server.started


def server_port(server):
    return int(server.url.rpartition(":")[2])


def test_the_same_server_object_again_and_again(raw):
    server = saltare.Server(app, port=0, lifespan="off")
    for _ in range(5):
        thread, ended = in_thread(server)
        assert raw(server_port(server)).get().read_response().body == b"hello"
        stop(server, thread)
        assert ended == [None]


def test_a_server_cannot_be_run_twice_at_a_time():
    server = saltare.Server(app, port=0, lifespan="off")
    thread, ended = in_thread(server)
    with pytest.raises(RuntimeError, match="running already"):
        server.run()
    stop(server, thread)
    assert ended == [None]


def test_shutdown_before_and_after_its_life_is_harmless(raw):
    server = saltare.Server(app, port=0, lifespan="off")
    server.shutdown()
    thread = threading.Thread(target=server.run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    server.shutdown()
    assert not server.started


def test_shutdown_from_many_threads_at_once(raw):
    for _ in range(10):
        server = saltare.Server(app, port=0, lifespan="off")
        thread, ended = in_thread(server)
        raw(server_port(server)).get().read_response()
        stoppers = [threading.Thread(target=server.shutdown) for _ in range(8)]
        for one in stoppers:
            one.start()
        for one in stoppers:
            one.join()
        thread.join(30)
        assert ended == [None]


def test_shutdown_by_the_app(raw):
    async def last(scope, receive, send):
        await app(scope, receive, send)
        server.shutdown()

    server = saltare.Server(last, port=0, lifespan="off")
    thread, ended = in_thread(server)
    assert raw(server_port(server)).get().read_response().body == b"hello"
    thread.join(30)
    assert ended == [None]


def test_many_side_by_side(raw):
    servers = [saltare.Server(app, port=0, lifespan="off") for _ in range(12)]
    threads = [in_thread(server)[0] for server in servers]
    for _ in range(3):
        for server in servers:
            assert raw(server_port(server)).get().read_response().body == b"hello"
    for server, thread in zip(servers[::-1], threads[::-1], strict=True):
        stop(server, thread)


def test_started_and_stopped_hundreds_of_times_under_load():
    """In a process of its own, so that its threads, descriptors and memory can be counted."""
    result = subprocess.run(
        [sys.executable, "soak_servers.py", str(ROUNDS)],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    before, after = seen["before"], seen["after"]
    assert seen["failures"] == []
    assert after["live"] == 0
    assert after["threads"] == before["threads"] == 1
    assert after["descriptors"] <= before["descriptors"] + 2  # the Go runtime opens two of its own, once
    assert after["system_threads"] <= before["system_threads"] + 2  # the Go runtime keeps threads for reuse
    assert after["rss"] - before["rss"] < 6 * MIB
