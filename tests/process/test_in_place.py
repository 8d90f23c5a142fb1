"""Profilers, debuggers, hooks and launchers: their changes to the interpreter stay, and their output is written."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from family import command_line
from harness import HANG, Process
from saltare.launch import touched

HERE = os.path.dirname(os.path.abspath(__file__))
SERVED_IN_PLACE = "saltare serves in the interpreter that it was started in"
SALTARE = ("-m", "saltare", "tool_apps:app", "--app-dir", HERE, "--port", "0", "--log-level", "debug")


@pytest.fixture
def start(tmp_path):
    """Starts an interpreter with these arguments in an empty folder."""
    servers = []

    def started(*arguments, env=None, **popen):
        log = tmp_path / f"stderr-{len(servers)}"
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        servers.append(Process([sys.executable, *arguments], log, cwd=tmp_path, env=environment, **popen))
        return servers[-1]

    yield started
    for server in servers:
        server.end()


def ask(raw, server, path="/"):
    answer = raw(server).get(path).read_response()
    assert answer.status == 200, server.logs()
    return json.loads(answer.body)


def is_in_place(server):
    return SERVED_IN_PLACE in server.logs()


# ---- an unmodified interpreter execs a new one ----


@pytest.mark.parametrize(
    "flags", [(), ("-B", "-X", "utf8"), ("-Xutf8", "-bW", "ignore"), ("-s",)], ids=lambda flags: " ".join(flags)
)
def test_started_directly_it_makes_way(start, raw, flags):
    server = start(*flags, *SALTARE)
    assert ask(raw, server)["in a thread"] == 45
    assert not is_in_place(server)
    assert command_line(server.pid) == "saltare tool_apps:app"
    assert server.stop() == 0


def test_the_environment_may_say_where_modules_are(start, tmp_path):
    """PYTHONPATH also applies to a new interpreter, and so does a locale that it sets itself."""
    env = {"PYTHONPATH": f"{tmp_path}/a{os.pathsep}b", "LC_ALL": "", "LC_CTYPE": "", "LANG": "C"}
    assert not is_in_place(start(*SALTARE, env=env))


def test_the_console_script_makes_way(start, tmp_path):
    script = tmp_path / "bin" / "saltare"
    script.parent.mkdir()
    script.write_text("import sys\nfrom saltare.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    assert not is_in_place(start(str(script), *SALTARE[2:]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("python -m saltare a:b", ("-m", "saltare")),
        ("python -msaltare a:b", ("-m", "saltare")),
        ("python -IBm saltare", ("-m", "saltare")),
        ("python -W ignore -X dev -Xutf8 -Wonce -m saltare", ("-m", "saltare")),
        ("python -bW ignore -m saltare", ("-m", "saltare")),
        ("python --check-hash-based-pycs never -m saltare", ("-m", "saltare")),
        ("python -m coverage run -m saltare", ("-m", "coverage")),
        ("python -c import_saltare -m saltare", ("-c", "import_saltare")),
        ("python bin/saltare -m x", ("", "bin/saltare")),
        ("python -u bin/saltare", ("", "bin/saltare")),
        ("python - -m saltare", ("", "-")),
        ("python", ("", "")),
        ("python -m", ("-m", "")),
    ],
)
def test_what_an_interpreter_was_started_with(arguments, expected):
    assert touched.program(arguments.split()) == expected


# ---- a modified interpreter serves itself ----

LAUNCHER = """
import runpy, sys
sys.path.insert(0, {vendor!r})
sys.argv = ["saltare", *sys.argv[1:]]
runpy.run_module("saltare", run_name="__main__", alter_sys=True)
"""


def test_a_launcher_that_extends_the_path(start, raw, tmp_path):
    (tmp_path / "vendor").mkdir()
    vendor = str(tmp_path / "vendor")
    (tmp_path / "launch.py").write_text(LAUNCHER.format(vendor=vendor))
    server = start("launch.py", *SALTARE[2:])
    assert vendor in ask(raw, server)["path"]
    assert is_in_place(server)
    assert server.stop() == 0


def test_a_launcher_called_saltare_that_extends_the_path(start, raw, tmp_path):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "saltare").write_text(
        f"import sys\nsys.path.append({str(tmp_path / 'vendor')!r})\nfrom saltare.cli import main\nsys.exit(main())\n"
    )
    server = start("saltare", *SALTARE[2:])
    assert str(tmp_path / "vendor") in ask(raw, server)["path"]
    assert "sys.path has entries that a new interpreter would not have" in server.logs()


def test_a_program_that_calls_the_command_line_has_its_exit_code(start, raw, tmp_path):
    (tmp_path / "program.py").write_text(
        f"from saltare.cli import main\nprint('code', main({list(SALTARE[2:])!r}), flush=True)\n"
    )
    with open(tmp_path / "out", "wb") as out:
        server = start("program.py", stdout=out)
    ask(raw, server)
    assert server.stop() == 0
    assert (tmp_path / "out").read_text() == "code 0\n"


THREAD = """
import os, threading, time

def last():
    while not os.path.exists("over"):
        time.sleep(0.01)
    print("the last word", flush=True)
"""


@pytest.mark.parametrize(
    "program",
    [
        THREAD + "threading.Thread(target=last).start()\n" + LAUNCHER.format(vendor="."),
        THREAD + f"from saltare.cli import main\nmain({list(SALTARE[2:])!r})\nthreading.Thread(target=last).start()\n",
    ],
    ids=["before", "after"],
)
def test_threads_of_the_program_are_not_ours_to_end(start, raw, tmp_path, program):
    """Threads that it started before the server, or starts when `main` has returned."""
    (tmp_path / "program.py").write_text(program)
    with open(tmp_path / "out", "wb") as out:
        server = start("program.py", *SALTARE[2:], "--shutdown-timeout", "0.1", stdout=out)
    ask(raw, server)
    server.popen.send_signal(signal.SIGTERM)
    server.wait_for_log("lifespan shutdown")
    time.sleep(1.5)  # nothing shows that it waits, only that it has not ended
    (tmp_path / "over").touch()
    assert server.wait() == 0
    assert (tmp_path / "out").read_text() == "the last word\n"


ONE_SHOT = """
import builtins, os
os.environ.pop("PYTHONPATH")
builtins.HOOKED = True
"""
LASTING = "import builtins\nbuiltins.HOOKED = True\n"


@pytest.mark.parametrize("hook", [ONE_SHOT, LASTING], ids=["one-shot", "lasting"])
@pytest.mark.parametrize("module", ["sitecustomize", "usercustomize"])
def test_a_hook_at_the_start_of_the_interpreter(start, raw, tmp_path, hook, module):
    if module == "usercustomize" and sys.prefix != sys.base_prefix:
        pytest.skip("an environment without site packages of the user")
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / f"{module}.py").write_text(hook)
    server = start(*SALTARE, env={"PYTHONPATH": str(tmp_path / "hook")})
    assert ask(raw, server)["hooked"] is True
    assert is_in_place(server)
    assert server.stop() == 0


def test_a_hook_that_only_leaves_a_mark_in_the_environment(start, raw, tmp_path):
    """The hook would not act a second time."""
    code = "import os, builtins\nif os.environ.pop('ARMED', None): builtins.HOOKED = True\n"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(code)
    server = start(*SALTARE, env={"PYTHONPATH": str(tmp_path / "hook"), "ARMED": "1"})
    assert ask(raw, server)["hooked"] is True


@pytest.mark.parametrize("setting", ["sys.settrace", "sys.setprofile", "threading.settrace", "threading.setprofile"])
def test_trace_and_profile_functions(monkeypatch, setting):
    code = f"import sys, threading\n{setting}(lambda *args: None)\nfrom saltare.launch.touched import watched\nprint(watched())"
    assert output_of(code) == "a trace or profile function is set\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_monitoring():
    code = "import sys\nsys.monitoring.use_tool_id(2, 'a tool')\nfrom saltare.launch.touched import watched\nprint(watched())"
    assert output_of(code) == "it is monitored by a tool\n"


def test_threads_that_were_there_before():
    code = """
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
from saltare.launch.touched import threaded
print(threaded())
"""
    assert output_of(code) == "it has 1 thread already\n"


def output_of(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


# ---- tools ----


def test_coverage(start, raw, tmp_path):
    pytest.importorskip("coverage")
    server = start("-m", "coverage", "run", f"--source={HERE}", *SALTARE)
    ask(raw, server)
    assert server.stop() == 0
    report = [sys.executable, "-m", "coverage", "report", "-m", "--include=*/tool_apps.py"]
    result = subprocess.run(report, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "tool_apps.py" in result.stdout
    covered = int(result.stdout.splitlines()[-1].split()[-1].rstrip("%"))
    assert covered > 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("path", ["/", "/hang"])
def test_cprofile(start, raw, tmp_path, number, path):
    """Its output is written, even when a thread keeps the process from ending."""
    import pstats

    server = start("-m", "cProfile", "-o", "profile", *SALTARE, "--shutdown-timeout", "1")
    ask(raw, server, path)
    code = server.stop(number)
    functions = {function[2] for function in pstats.Stats(str(tmp_path / "profile")).stats}
    assert "app" in functions and "nested" in functions
    assert "lifespan shutdown" in server.logs()
    assert code == (0 if path == "/" else 1)
    assert ("are abandoned: sleeper" in server.logs()) == (path == "/hang")


def test_pdb(start, raw):
    """Without options: 3.13.0 would take them for its own."""
    env = {"SALTARE_PORT": "0", "SALTARE_APP_DIR": HERE, "SALTARE_LOG_LEVEL": "debug"}
    command = ("-m", "pdb", "-c", "continue", "-m", "saltare", "tool_apps:app")
    server = start(*command, env=env, stdout=subprocess.DEVNULL)
    ask(raw, server)
    assert is_in_place(server)
    assert server.stop() == 0
    assert "lifespan shutdown" in server.logs()


def test_python_with_a_prompt(tmp_path):
    """Code typed afterwards sees the modules that were served."""
    result = subprocess.run(
        [sys.executable, "-i", "-m", "saltare", "nowhere:app"],
        input="import sys; print('saltare.cli' in sys.modules)\n",
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "True" in result.stdout


def test_py_spy_from_its_start(raw, tmp_path):
    """It reads the memory of the process at its initial addresses, so the process may not exec another program."""
    spy = os.path.join(os.path.dirname(sys.executable), "py-spy")
    if not os.path.exists(spy):
        pytest.skip("no py-spy")
    command = [spy, "record", "-r", "200", "-f", "raw", "-o", "out", "--", sys.executable, *SALTARE]
    spying = Process(command, tmp_path / "log", cwd=tmp_path)
    pid = int(spying.logs().split("(pid ")[1].split(",")[0])
    ask(raw, spying, "/burn")
    os.kill(pid, signal.SIGTERM)
    assert spying.popen.wait(HANG) == 0
    assert is_in_place(spying)
    assert "burn (tool_apps.py" in (tmp_path / "out").read_text()


def test_options_of_memory_that_need_an_interpreter_of_ones_own(start, tmp_path):
    (tmp_path / "launch.py").write_text("import sys\nfrom saltare.cli import main\nsys.exit(main(sys.argv[1:]))\n")
    server = start("launch.py", *SALTARE[2:], "--park-memory", str(tmp_path))
    assert "memory is not parked: " + SERVED_IN_PLACE in server.logs()


def test_options_of_memory_in_a_program(tmp_path):
    (tmp_path / "program.py").write_text(
        "import saltare, tool_apps\n"
        "server = saltare.Server(tool_apps.app, port=0, park_memory='.')\n"
        "server.after_start = server.shutdown\n"
        "server.run()\n"
    )
    env = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    line = f"memory is not parked: {SERVED_IN_PLACE} (a program has started the server); `saltare MODULE:ATTRIBUTE"
    assert done.stderr.count(line) == 1


@pytest.mark.parametrize("arguments", [("--workers", "2"), ("--reload",)], ids=["workers", "reload"])
def test_a_master_in_place(start, raw, tmp_path, arguments):
    if "--reload" in arguments:
        pytest.importorskip("watchfiles")
    (tmp_path / "launch.py").write_text(LAUNCHER.format(vendor=str(tmp_path)))
    server = start("launch.py", *SALTARE[2:], *arguments)
    assert ask(raw, server)["child"] == ["out\n", 7]
    assert server.stop() == 0


# ---- patched loops, and third-party loops ----

# What the app does at import, and the module of the loop that then runs.
LOOPS = {
    "": "asyncio.unix_events",
    "own policy": "asyncio.unix_events",
    "uvloop": "uvloop",
    "gevent": "asyncio.unix_events",
    "nest_asyncio": "asyncio.unix_events",
}


@pytest.mark.parametrize("patch", LOOPS)
@pytest.mark.parametrize(
    "arguments", [(), ("--workers", "2", "--no-preload"), ("--loop", "asyncio")], ids=["auto", "workers", "asyncio"]
)
def test_children_threads_and_greenlets_on_patched_loops(start, raw, patch, arguments):
    if patch in ("uvloop", "gevent", "nest_asyncio"):
        pytest.importorskip(patch)
    if patch == "uvloop" and "asyncio" in arguments:
        pytest.skip("the policy has to watch the children of asyncio's loop, and uvloop's does not")
    server = start(*SALTARE, *arguments, env={"PATCH": patch})
    seen = ask(raw, server)
    assert seen["child"] == ["out\n", 7]
    assert seen["in a thread"] == 45
    assert seen["green"] == (patch == "gevent")
    assert seen["nested"] == ("nested" if patch == "nest_asyncio" else None)
    foreign = patch == "gevent" or (patch == "uvloop" and "asyncio" not in arguments)
    assert seen["loop"] == ("asyncio.unix_events" if "asyncio" in arguments else LOOPS[patch])
    assert ("the event loop is not saltare's own" in server.logs()) == foreign
    assert server.stop() == 0
    assert "lifespan shutdown" in server.logs()
