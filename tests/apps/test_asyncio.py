"""Apps that use many features of asyncio while served, on our selector and as a guest of uvloop."""

import os
import signal
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness import wait_until

EXPECTED = {
    "start_server": [f"LINE {number}\n" for number in range(20)],
    "unix_server": "\ncba",
    "datagrams": "datagram",
    "sock_calls": 2_000_000,
    "readers_and_writers_of_pipes": ["0", "1", "2", "3", "4"],
    "pipe_transports": "through a pipe",
    "resolve": True,
    "subprocess_exec": [7, 250_000, "TEXT "],
    "subprocess_killed": -signal.SIGKILL,
    "inherited_descriptors": "[]",
    "many_subprocesses": list(range(20)),
    "forked_child": [0, True, 4999950000],
    "forked_child_from_a_thread": [0, True, 4999950000],
    "spawned_child": [0, True, 4999950000],
    "bare_fork": ["the child", 3],
    "forked_child_that_runs_a_loop": 5,
    "process_pool": 2**100,
    "to_thread": True,
    "executor": 6,
    "call_soon_threadsafe": "woken",
    "run_coroutine_threadsafe": True,
    "timers": [0.01, 0.02, 0.03],
    "sleeps": True,
    "wait_for": "timed out",
    "timeout": "timed out",
    "cancellation": ["cancelled", "cleaned up", True],
    "task_group": [0, 1, 4, "both failed"],
    "gather": ["1", "one failed", "2"],
    "shield": "shielded",
    "current_task": [True, True, True],
    "async_generators": "closed",
    "signals": ["SIGUSR1 by the loop", "SIGUSR2 by Python"],
    "exception_handler": ["division by zero"],
}
LOOPS = {"asyncio": [], "uvloop": ["--loop", "uvloop"]}


@pytest.fixture(scope="module", params=LOOPS)
def server(request, module_cli_server):
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed for this Python")
    server = module_cli_server("app_asyncio:app", *LOOPS[request.param])
    assert httpx.get(server.url + "/loop_name").json() == ("uvloop" if request.param == "uvloop" else "asyncio")
    yield server
    assert server.stop() == 0, server.logs()
    assert "lifespan shutdown ran" in server.logs()


@pytest.fixture
def ask(server):
    def ask(name, query=""):
        reply = httpx.get(f"{server.url}/{name}?{query}", timeout=25)
        assert reply.status_code == 200, server.logs()
        return reply.json()

    return ask


@pytest.mark.parametrize("name", EXPECTED)
def test_case(ask, name):
    assert ask(name) == EXPECTED[name]


def test_every_case_again_and_all_at_once(ask):
    """Anything a case leaves in the loop or in the selector must not disturb the others."""
    apart = {"signals", "exception_handler", "process_pool", "spawned_child"}  # these change global state, or take long
    names = [name for name in EXPECTED if name not in apart]
    with ThreadPoolExecutor(8) as pool:
        results = dict(zip(names * 2, pool.map(ask, names * 2), strict=True))
    assert results == {name: EXPECTED[name] for name in names}


class Shout(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


@pytest.fixture
def other_server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Shout) as other:
        threading.Thread(target=other.serve_forever).start()
        yield other.server_address[1]
        other.shutdown()


def test_connections_to_another_server(ask, other_server):
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda _: ask("open_connection", other_server), range(5))) == [250_000] * 5


def test_connection_refused(ask, free_port):
    assert ask("refused_connection", free_port) == "refused"


def test_a_task_outlives_its_request(ask):
    assert ask("leave_a_task_behind") == "left"
    assert ask("look_for_the_task") == "done"


def test_requests_talk_through_a_queue(ask):
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(ask, "get") for _ in range(3)]
        for number in range(3):
            ask("put", number)
        assert sorted(one.result() for one in waiting) == ["0", "1", "2"]


def test_context_variables_belong_to_one_request(ask):
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: ask("context", number), range(50)))
    assert results == [["nobody", str(number), str(number), str(number)] for number in range(50)]


def test_context_variables_do_not_stay_on_a_connection(server):
    with httpx.Client(base_url=server.url) as client:
        assert [client.get(f"/context?{n}").json()[0] for n in range(5)] == ["nobody"] * 5


def test_signals_reach_a_loop_that_waits(server, ask):
    """The signal comes from outside while the server sleeps in the kernel with nothing else to wake it."""
    ask("signals")
    before = len(ask("received_signals"))
    os.kill(server.pid, signal.SIGUSR1)
    os.kill(server.pid, signal.SIGUSR2)
    wait_until(lambda: len(ask("received_signals")) == before + 2)


def test_a_busy_loop_loses_nothing(server, ask):
    with ThreadPoolExecutor(9) as pool:
        busy = pool.submit(ask, "busy")
        rest = list(pool.map(ask, ["timers"] * 8))
    assert rest == [EXPECTED["timers"]] * 8
    assert busy.result() is None


@pytest.mark.parametrize("loop", LOOPS)
def test_every_case_in_development_mode(cli_server, loop):
    """`-X dev` and asyncio's debug mode report missing awaits, open resources and calls from the wrong thread."""
    server = cli_server("app_asyncio:app", *LOOPS[loop], env={"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"})
    for name in EXPECTED:
        assert httpx.get(f"{server.url}/{name}", timeout=25).json() == EXPECTED[name], name
    assert server.stop() == 0
    ours = [line for line in server.logs().splitlines() if "Warning" in line and "saltare" in line]
    assert not ours, server.logs()
    assert "never awaited" not in server.logs() and "Fatal" not in server.logs()
