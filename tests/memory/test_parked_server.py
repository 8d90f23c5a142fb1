"""A server with parked memory responds like a server without.

PARK_REQUESTS in the environment sets how many responses are compared: 10,000 by default.
"""

import os
import random

import pytest
from measure import held

from harness import wait_until
from rawsocket import Raw

pytestmark = pytest.mark.slow
pytest.importorskip("fastapi")

REQUESTS = int(os.environ.get("PARK_REQUESTS", "10000"))
OPTIONS = ("--no-date-header", "--max-keepalive-requests", 0)


def request(method, target, body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def requests():
    """Mostly cold paths, all over the heap."""
    chance = random.Random(7)
    for number in range(REQUESTS):
        if number % 1000 == 999:
            yield request("GET", "/child")
        elif number % 100 == 99:
            yield request("GET", "/thread")
        elif number % 20 == 19:
            yield request("GET", "/blob")
        elif number % 3 == 2:
            yield request("POST", "/echo", chance.randbytes(chance.choice((1, 500, 5000, 90_000))))
        elif number % 3 == 1:
            yield request("GET", f"/query?{chance.randrange(20_000)}")
        else:
            yield request("GET", f"/item/{chance.randrange(20_000)}")


def test_byte_for_byte(cli_server, disk):
    parked = cli_server("parked_apps:app", *OPTIONS, "--park-memory", disk)
    unparked = cli_server("parked_apps:app", *OPTIONS)
    parked.wait_for_log(f"of memory in {disk}")
    with Raw(parked) as one, Raw(unparked) as other:
        for sent in requests():
            expected, answer = other.send(sent).read_response(), one.send(sent).read_response()
            assert answer == expected, sent[:100]
    assert held(parked.pid)[1] < held(unparked.pid)[1]
    for server in (parked, unparked):
        assert server.stop() == 0
        assert "Traceback" not in server.logs()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_both_loops(cli_server, disk, raw, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("parked_apps:app", "--park-memory", disk, "--loop", loop)
    server.wait_for_log("INFO parked ")
    for target in ("/item/3", "/thread", "/child", "/blob"):
        assert raw(server).get(target).read_response().status == 200


@pytest.mark.parametrize("options", [(), ("--no-preload",)], ids=["preload", "no-preload"])
def test_workers(cli_server, disk, raw, options):
    """They park what the master has loaded, or each worker what it has loaded itself."""
    server = cli_server("parked_apps:app", "--workers", 2, "--park-memory", disk, *options)
    wait_until(lambda: server.logs().count("INFO parked ") == (2 if options else 1), server.logs)
    assert raw(server).send(request("GET", "/item/7")).read_response().status == 200
    assert server.stop() == 0


def test_where_it_cannot_the_server_serves_all_the_same(cli_server, raw):
    if not os.path.isdir("/dev/shm"):
        pytest.skip("there is no /dev/shm")
    server = cli_server("parked_apps:app", "--park-memory", "/dev/shm")
    server.wait_for_log("WARNING memory is not parked: /dev/shm lies on tmpfs, which is memory itself")
    assert raw(server).get("/item/3").read_response().status == 200


def test_a_folder_that_is_none_ends_the_start(disk):
    import subprocess
    import sys

    (disk / "file").touch()
    for path in (disk / "none", disk / "file"):
        command = [sys.executable, "-m", "saltare", "parked_apps:app", "--park-memory", path]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr == f"saltare: --park-memory: got {str(path)!r}, which is not a writable folder that exists\n"
