"""SIGUSR1: a line of figures from each process that serves."""

import json
import signal
from pathlib import Path

import pytest

from family import workers
from harness import wait_until
from rawsocket import Raw

APP = ("worker_apps:app", "--lifespan", "off")
CONNECTIONS = ("reading_head", "in_request", "sending", "idle", "in_handshake", "lingering")


def lines(server):
    return [json.loads(line) for line in server.logs().splitlines() if line.startswith("{")]


def answers(server, count=1):
    """The lines of JSON that SIGUSR1 adds to the log."""
    before = len(lines(server))
    server.popen.send_signal(signal.SIGUSR1)
    wait_until(lambda: server.logs().endswith("\n") and len(lines(server)) == before + count, server.logs)
    return lines(server)[before:]


def figures(server):
    return answers(server)[0]


def test_one_process(cli_server):
    server = cli_server(*APP, "--header", "x: y")
    with Raw(server) as idle, Raw(server) as half:
        assert idle.get("/pid").read_response().status == 200
        half.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        wait_until(lambda: figures(server)["read_buffers"] == 1)
        one = figures(server)
        assert (one["message"], one["pid"], one["worker"], one["draining"]) == ("figures", server.pid, 0, False)
        assert one["connections"] == dict.fromkeys(CONNECTIONS, 0) | {"idle": 1, "reading_head": 1}
        assert (one["open_connections"], one["in_flight_requests"], one["requests"], one["accepted"]) == (2, 0, 1, 2)
        assert (one["refused"], one["refusals"], one["unsent_bytes"], one["panics"]) == (0, {}, 0, 0)
        resident = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4096
        assert 0.5 < one["resident_bytes"] / resident < 2
        assert one["descriptors"] > 5
        assert one["threads"] >= 1
    with Raw(server) as bad:
        bad.send(b"nonsense\r\n\r\n")
        assert bad.read_response().status == 400
    one = figures(server)
    assert one["refused"] == 1
    assert server.stop() == 0


@pytest.mark.parametrize("options", [(), ("--log-format", "json")], ids=str)
def test_each_worker_writes_its_own(cli_server, options):
    server = cli_server(*APP, "--workers", "3", *options)
    ours = [one for one in answers(server, 3) if one["message"] == "figures"]
    assert {one["pid"] for one in ours} == set(workers(server))
    assert sorted(one["worker"] for one in ours) == [1, 2, 3]
    assert server.stop() == 0


def test_during_a_drain(cli_server):
    server = cli_server("figures_apps:app", "--lifespan", "off")
    with Raw(server) as client:
        client.get("/waits")
        wait_until(lambda: figures(server)["connections"]["in_request"] == 1)
        server.popen.send_signal(signal.SIGTERM)
        wait_until(lambda: figures(server)["draining"])
    assert server.wait() == 0


def test_nothing_is_loaded_before(cli_server):
    server = cli_server("figures_apps:app", "--lifespan", "off")
    with Raw(server) as client:
        assert client.get().read_response().body == b"False"
        assert figures(server)
        assert client.get().read_response().body == b"True"
