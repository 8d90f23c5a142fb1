"""Interpreters that end, and subinterpreters, with parts of a core still alive."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import HANG

HERE = Path(__file__).parent

PREAMBLE = """
import gc, os, sys, threading, time
sys.path[:0] = [{here!r}, {tests!r}]
from bare import BODY, GET, START, Bare, new_core, post, result, waits
"""


def run(code, *flags):
    """Runs the code in an interpreter whose allocator checks what is freed; returns its stderr."""
    code = PREAMBLE.format(here=str(HERE), tests=str(HERE.parent)) + code
    command = [sys.executable, "-X", "dev", "-W", "ignore", *flags, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


WAYS = {
    "a core": "core = new_core()",
    "a core in a cycle": "core = new_core(); core.state = {'core': core}; core.wake = core.poll",
    "an exchange": "bare = Bare(); bare.ask()",
    "an exchange without its core": "bare = Bare(); exchange = bare.ask()[1]; bare.core.close(); del bare",
    "receives that wait": """
bare = Bare()
peer, exchange = bare.ask(post(length=3))
waiting = [exchange.receive() for _ in range(3)]
for one in waiting[1:]:
    waits(one)
""",
    "a send that waits": """
bare = Bare()
peer, exchange = bare.ask()
exchange.send({**START, "headers": []})
waiting = exchange.send({**BODY, "body": bytes(1 << 20), "more_body": True})
waits(waiting)
bare.core.poll(0)
""",
    "a borrowed body that no turn took": """
bare = Bare()
peer, exchange = bare.ask()
exchange.send({**START, "headers": []})
exchange.send({**BODY, "body": bytes(1 << 20), "more_body": True})
""",
    "everything in one cycle": """
bare = Bare()
peer, exchange = bare.ask(post(length=3))
waiting = exchange.receive()
waits(waiting)
import saltare._core
cycle = [bare, exchange, waiting, saltare._core, type(exchange), sys.modules]
cycle.append(cycle)
exchange = waiting = bare = None
""",
    "an object that looks at it when it ends": """
class Last:
    def __del__(self):
        for act in (exchange.receive().close, exchange.fail, bare.core.close, gc.collect):
            act()
bare = Bare()
peer, exchange = bare.ask(post(length=3))
last = Last()
last.cycle = last
""",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_an_interpreter_ends_with(code):
    assert run(code) == ""


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_an_interpreter_ends_without_its_modules_but_with(code):
    code += """
for name in [name for name in sys.modules if name.startswith("saltare")]:
    del sys.modules[name]
gc.collect()
"""
    assert run(code) == ""


SERVING = """
import socket, saltare
async def app(scope, receive, send):
    await receive()
    await receive()
server = saltare.Server(app, port=0, lifespan="off", log_level="critical")
ready = threading.Event()
server.after_start = ready.set
threading.Thread(target=server.run, daemon=True).start()
ready.wait()
peers = []
for request in (GET, post(b"ab", length=4), b"GET"):
    peers.append(socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))))
    peers[-1].sendall(request)
time.sleep(0.1)
"""


def test_a_main_thread_ends_while_a_daemon_thread_serves():
    assert run(SERVING) == ""


def test_a_main_thread_ends_while_a_daemon_thread_polls():
    assert run("core = new_core(); threading.Thread(target=core.poll, daemon=True).start(); time.sleep(0.1)") == ""


# ---- other interpreters ----

INTERPRETERS = """
try:
    import _interpreters as interpreters
    create = {"own": lambda: interpreters.create("isolated"), "shared": lambda: interpreters.create("legacy")}
    destroy, run_string = interpreters.destroy, interpreters.run_string
except ImportError:
    import _xxsubinterpreters as interpreters
    create = {"own": lambda: interpreters.create(isolated=True), "shared": lambda: interpreters.create(isolated=False)}
    destroy, run_string = interpreters.destroy, interpreters.run_string

def failure(kind, code):
    interpreter = create[kind]()
    try:
        error = run_string(interpreter, code)
        return None if error is None else str(error.msg)
    except Exception as error:
        return str(error)
    finally:
        destroy(interpreter)
"""

IN_ANOTHER = (
    PREAMBLE.format(here=str(HERE), tests=str(HERE.parent))
    + """
from saltare._core import live
bare = Bare()
peer, exchange = bare.ask()
bare.answer(exchange)
assert peer.read_response().body == b"ok"
assert live()["cores"] == 1
"""
)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters with a GIL of their own are new in 3.12")
def test_an_interpreter_with_its_own_gil_is_refused():
    refused = run(INTERPRETERS + "print(failure('own', 'import saltare._core'), file=sys.stderr)")
    assert "does not support loading in subinterpreters" in refused


@pytest.mark.parametrize("close", ["bare.close()", ""], ids=["closed", "left open"])
def test_another_interpreter_has_cores_of_its_own(close):
    code = f"""
import saltare._core
bare = Bare()
for _ in range(3):
    error = failure("shared", {IN_ANOTHER + close!r})
    assert error is None, error
assert saltare._core.live()["cores"] == 1
peer, exchange = bare.ask()
bare.answer(exchange)
assert peer.read_response().body == b"ok"
bare.close()
"""
    assert run(INTERPRETERS + code) == ""
