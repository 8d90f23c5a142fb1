"""worker_timeout: a worker whose event loop is blocked is replaced."""

import pytest

import saltare
from family import wait_for_workers, workers
from saltare.errors import ConfigError


@pytest.mark.parametrize("count", [1, 2])
def test_a_blocked_worker_is_replaced(cli_server, raw, count):
    server = cli_server("worker_apps:app", "--workers", str(count), "--worker-timeout", "2", "--lifespan", "off")
    before = workers(server)
    assert len(before) == count
    client = raw(server).get("/blocks/600")
    assert client.read_all() == b""
    left = wait_for_workers(server, count)
    (blocked,) = set(before) - set(left)
    server.wait_for_log(f"(pid {blocked}) has not turned its event loop for 2 s while clients wait: killing it")
    server.wait_for_log("in blocks")  # Python has written where it was
    assert raw(server).get("/pid").read_response().status == 200
    assert server.stop() == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_worker_that_waits_is_left_alone(cli_server, raw, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("worker_apps:app", "--worker-timeout", "3", "--lifespan", "off", "--loop", loop)
    assert ("worker_timeout does not apply" in server.logs()) == (loop == "uvloop")
    before = workers(server)
    client = raw(server)
    assert client.get("/sleeps/4").read_response().status == 200
    assert workers(server) == before
    assert "killing" not in server.logs()
    assert server.stop() == 0


def test_bad_values():
    with pytest.raises(ConfigError, match="worker_timeout.*accepted"):
        saltare.Server("worker_apps:app", worker_timeout=-1)
