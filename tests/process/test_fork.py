"""Children forked by the app: Go does not survive a fork, so they never use it, and the parent continues to serve."""

import os
import threading

import pytest

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def ask(raw, server, what):
    return raw(server).get(f"/{what}").read_response().body.decode()


@LOOPS
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("computes", "499500 0"),
        ("sends", "the parent's answer, child: 'taken' 0"),
        ("uses_a_loop_of_its_own", "'slept' 0"),
        ("multiprocessing_fork", "499500 0"),
        ("forks_a_grandchild", "b'42 0' 0"),
        ("fails", "'ValueError: in the child' 0"),
    ],
)
def test_what_a_child_may_do(cli_server, raw, what, expected, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
        if what == "uses_a_loop_of_its_own":
            pytest.skip("libuv's own state does not survive a fork from within its loop")
    server = cli_server("fork_apps:app", "--lifespan", "off", "--loop", loop)
    idle = raw(server)
    assert idle.get("/hello").read_response().body == b"hello"
    for _ in range(3):
        assert ask(raw, server, what) == expected
        assert idle.get("/hello").read_response().body == b"hello"
    assert server.stop() == 0
    assert "Traceback" not in server.logs()
    assert "rror" not in server.logs()


def test_a_child_cannot_drive_the_parents_server(cli_server, raw):
    server = cli_server("fork_apps:app", "--lifespan", "off")
    seen = ask(raw, server, "polls")
    assert seen.startswith("RuntimeError: saltare cannot serve in a forked child")
    assert ask(raw, server, "hello") == "hello"


def test_a_child_cannot_start_a_server_of_its_own(cli_server, raw):
    server = cli_server("fork_apps:app", "--lifespan", "off")
    seen = ask(raw, server, "serves")
    assert seen.startswith("RuntimeError: saltare cannot serve in a forked child: start the server after the fork")
    assert ask(raw, server, "hello") == "hello"


def test_a_child_that_leaves_its_handler_ends(cli_server, raw, tmp_path):
    """The child cannot continue to serve; the parent can, and the socket's name still exists."""
    path = tmp_path / "socket"
    server = cli_server("fork_apps:app", "--lifespan", "off", "--uds", path)
    assert ask(raw, server, "falls_through") == "1"
    assert path.is_socket()
    assert ask(raw, server, "hello") == "hello"
    server.wait_for_log("saltare cannot serve in a forked child")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_in_the_thread_beside_a_server(serve, raw):
    """The main thread of a test forks while a server runs in another thread, under load."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    server = serve(app, lifespan="off", max_keepalive_requests=0)
    over, answers = threading.Event(), []

    def load():
        client = raw(server)
        while not over.is_set():
            answers.append(client.get().read_response().body)
        answers.append("to the end")

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(number)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == number
    finally:
        over.set()
        loader.join()
    assert answers.pop() == "to the end"
    assert set(answers) == {b"hello"}
    assert raw(server).get().read_response().body == b"hello"
