"""`saltare as-uvicorn`: programs that start uvicorn by themselves."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from harness import wait_until
from saltare.compat.finder import STAND_IN

HERE = Path(__file__).parent
SALTARE = [sys.executable, "-m", "saltare", "as-uvicorn"]
MODULE = [sys.executable, "-m", "saltare.as_uvicorn"]


def run(*arguments, command=MODULE, **options):
    options = {"capture_output": True, "text": True, "timeout": 60, "cwd": HERE, **options}
    return subprocess.run([*command, *map(str, arguments)], **options)


def script(tmp_path, text, name="program.py", first=""):
    path = tmp_path / name
    path.write_text(first + textwrap.dedent(text))
    path.chmod(0o755)
    return path


# ---- which program ----


@pytest.mark.parametrize("command", [SALTARE, MODULE], ids=["saltare as-uvicorn", "-m saltare.as_uvicorn"])
def test_a_file(tmp_path, command):
    text = """
        import sys, uvicorn, beside
        print(__name__, sys.argv[1:], uvicorn.Server.__module__, sys.path[0] == beside.FOLDER, __file__)
        sys.exit(7)
    """
    (tmp_path / "beside.py").write_text("import os\nFOLDER = os.path.dirname(__file__)\n")
    path = script(tmp_path, text)
    done = run(path, "--flag", "x", command=command)
    assert done.stdout == f"__main__ ['--flag', 'x'] saltare.compat.server True {path}\n", done.stderr
    assert done.returncode == 7


def test_a_module(tmp_path):
    script(tmp_path, "import sys, uvicorn; print(__name__, sys.argv[1:], uvicorn.run.__module__)", "tool.py")
    done = run("-m", "tool", "a", "b", cwd=tmp_path)
    assert done.stdout == "__main__ ['a', 'b'] saltare.compat.main\n", done.stderr


@pytest.mark.parametrize("first", ["#!{python}\n", "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"])
def test_a_command_on_the_path(tmp_path, first):
    script(tmp_path, "import uvicorn; print(uvicorn.Config.__module__)", "tool", first.format(python=sys.executable))
    done = run("tool", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.stdout == "saltare.compat.config\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "no program given; accepted: PROGRAM ARGS"),
        (["-m"], "no module given"),
        (["-m", "nopemod"], "-m nopemod: there is no such module to run"),
        (["-m", "nopemod.inner"], "-m nopemod.inner: there is no such module to run"),
        (["-m", "package"], "-m package: there is no such module to run"),
        (["-m", ".tool"], "-m .tool: there is no such module to run"),
        (["-m", "os.tool.inner"], "-m os.tool.inner: there is no such module to run"),
        (["-m", ""], "-m : there is no such module to run"),
        (["-m", "uvicorn.nothing"], "-m uvicorn.nothing: there is no such module to run"),
        (["-x"], "-x: unknown option"),
        (["no-such-program"], "no such command on the PATH"),
        (["./no_such.py"], "there is no such file"),
        (["/bin/sh"], "it is not a Python script"),
        (["broken.py"], "it is not Python: SyntaxError"),
        (["other"], "it belongs to /opt/other/bin/python3"),
    ],
)
def test_refused(tmp_path, arguments, reason):
    script(tmp_path, "if", "broken.py")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    script(tmp_path, "", "other", "#!/opt/other/bin/python3\n")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import not_installed", "No module named 'not_installed'"),
        ("from package import nothing", "cannot import name 'nothing'"),
    ],
)
def test_a_module_whose_package_fails(tmp_path, text, reason):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text(text)
    done = run("-m", "package.tool", cwd=tmp_path)
    assert reason in done.stderr and "no such module to run" not in done.stderr


@pytest.mark.parametrize("command", [SALTARE, MODULE], ids=["saltare as-uvicorn", "-m saltare.as_uvicorn"])
def test_help(command):
    done = run("--help", command=command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PROGRAM ARGS" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["main:app", "--check"], 0, "saltare: the configuration is valid (app main:app)\n", ""),
        (["no_such:app"], 3, "", 'saltare: app "no_such:app": there is no module'),
        (["main:app", "--port", "x"], 2, "", "saltare: --port: got 'x'"),
    ],
)
def test_the_module_uvicorn(tmp_path, arguments, code, out, err):
    """`-m uvicorn` is the server's own command line."""
    done = run("-m", "uvicorn", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, out), done.stderr
    assert done.stderr.startswith(err)


def test_the_module_uvicorn_serves(tmp_path, program, free_port):
    process = program("-m", "uvicorn", "embedded_apps:app", "--port", free_port, command=MODULE)
    wait_until(lambda: answers(free_port) or process.poll() is not None)
    assert httpx.get(f"http://127.0.0.1:{free_port}").text == "saltare.compat.server"
    assert process.end(signal.SIGTERM)[0] == 0, process.errors


# ---- what it finds ----


def test_all_that_programs_import(tmp_path):
    path = script(
        tmp_path,
        """
        import uvicorn
        import uvicorn.config, uvicorn.logging, uvicorn.main, uvicorn.supervisors.multiprocess
        from uvicorn import Config, Server, main, run
        from uvicorn.config import LOGGING_CONFIG, LOG_LEVELS, STARTUP_FAILURE
        from uvicorn.importer import ImportFromStringError, import_from_string
        from uvicorn.logging import AccessFormatter, ColourizedFormatter, DefaultFormatter, TRACE_LOG_LEVEL
        from uvicorn.main import STARTUP_FAILURE, Server as OfMain, logger, run as run_of_main
        from uvicorn.protocols.utils import ClientDisconnected
        from uvicorn.server import HANDLED_SIGNALS, Server as OfServer, ServerState
        from uvicorn.supervisors import ChangeReload, Multiprocess
        from uvicorn.supervisors.basereload import BaseReload
        import saltare

        assert OfMain is OfServer is Server is saltare.Server
        assert run_of_main is run is uvicorn.run
        assert uvicorn.config.Config is Config is saltare.Config
        assert uvicorn.config.LOGGING_CONFIG is saltare.config.LOGGING_CONFIG
        assert ClientDisconnected is saltare.ClientDisconnected
        assert callable(uvicorn.main) and uvicorn.__version__
        assert STARTUP_FAILURE == 3
        """,
    )
    done = run(path)
    assert done.returncode == 0, done.stderr


def test_parts_of_an_installed_uvicorn(tmp_path):
    theirs = tmp_path / "site" / "uvicorn"
    (theirs / "middleware").mkdir(parents=True)
    (theirs / "__init__.py").write_text("raise AssertionError('uvicorn itself was imported')")
    (theirs / "_types.py").write_text("THEIRS = True")
    (theirs / "middleware" / "__init__.py").write_text("")
    (theirs / "middleware" / "proxy_headers.py").write_text("from uvicorn._types import THEIRS\nimport uvicorn.config")
    path = script(
        tmp_path,
        """
        from uvicorn.middleware.proxy_headers import THEIRS, uvicorn
        import uvicorn._types
        assert uvicorn.config.__name__ == "saltare.compat.config"
        """,
    )
    done = run(path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")})
    assert done.returncode == 0, done.stderr


def test_parts_that_nobody_has(tmp_path):
    text = "import uvicorn\ntry: uvicorn.nothing\nexcept AttributeError as e: print(e)\nimport uvicorn.nothing"
    path = script(tmp_path, text)
    done = run(path)
    assert "saltare stands in its place" in done.stdout
    assert "ModuleNotFoundError: No module named 'uvicorn.nothing'" in done.stderr


def test_a_search_for_a_part_that_nobody_has(tmp_path):
    """Programs look so for what a version of uvicorn may lack."""
    text = (
        "from importlib.util import find_spec; print(find_spec('uvicorn.nothing'), find_spec('uvicorn.config') is None)"
    )
    done = run(script(tmp_path, text))
    assert done.stdout == "None False\n", done.stderr


def test_nothing_of_it_without_as_uvicorn():
    done = run(command=[sys.executable, "-c", "import sys; sys.exit('saltare' in sys.modules)"])
    assert done.returncode == 0
    assert STAND_IN not in sys.path


# ---- processes that a program starts ----


def test_a_child_process(tmp_path):
    path = script(
        tmp_path,
        """
        import subprocess, sys
        code = "import uvicorn.config; print(uvicorn.Server.__module__, uvicorn.config.__name__)"
        sys.exit(subprocess.run([sys.executable, "-c", code]).returncode)
        """,
    )
    done = run(path)
    assert done.stdout == "saltare.compat.server saltare.compat.config\n", done.stderr


def test_a_spawned_process(tmp_path):
    path = script(
        tmp_path,
        """
        import multiprocessing, uvicorn

        def main():
            print(uvicorn.Server.__module__, flush=True)

        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=main)
            process.start()
            process.join()
        """,
    )
    done = run(path)
    assert done.stdout == "saltare.compat.server\n", done.stderr


def test_a_child_of_an_environment_without_saltare(tmp_path):
    """It has its own uvicorn, or none."""
    theirs = tmp_path / "site" / "uvicorn"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("WHOSE = 'theirs'")
    (theirs / "__main__.py").write_text("print('theirs as well')")
    environment = {**os.environ, "PYTHONPATH": f"{STAND_IN}:{tmp_path / 'site'}"}
    code = "import sys; sys.modules['saltare'] = None; import uvicorn; print(uvicorn.WHOSE)"
    done = run(command=[sys.executable, "-c", code], env=environment)
    assert done.stdout == "theirs\n", done.stderr


def test_python_m_uvicorn(program, free_port):
    process = program("child", free_port)
    for line in process.stderr:
        if "listening on" in line:
            break
    assert httpx.get(f"http://127.0.0.1:{free_port}").text == "saltare.compat.server"
    assert process.end(signal.SIGTERM)[0] == 0


# ---- uvicorn.run ----


@pytest.mark.parametrize("options", ["", ", workers=2", ", limit_max_requests=1000"])
def test_run(tmp_path, program, free_port, options):
    path = script(
        tmp_path,
        f"""
        import sys, uvicorn
        sys.path.append({str(HERE)!r})
        if __name__ == "__main__":
            uvicorn.run("embedded_apps:app", port={free_port}{options})
            print("returned", flush=True)
        """,
    )
    process = program(path, command=MODULE)
    wait_until(lambda: answers(free_port) or process.poll() is not None, lambda: process.stderr.read())
    assert httpx.get(f"http://127.0.0.1:{free_port}").text == "saltare.compat.server"
    code, out = process.end(signal.SIGTERM)
    assert code == 0, process.errors
    assert out.splitlines()[-1] == "returned"
    assert "INFO:     saltare" in process.errors  # by uvicorn's LOGGING_CONFIG
    if not options:
        assert '"GET / HTTP/1.1" 200 OK' in out


def test_a_program_that_has_served_ends_without_a_search_for_garbage(tmp_path, program, free_port):
    path = script(
        tmp_path,
        f"""
        import atexit, gc, sys, uvicorn
        sys.path.append({str(HERE)!r})
        atexit.register(lambda: print("frozen", gc.get_freeze_count() > 1000, flush=True))

        class Pair:
            def __init__(self):
                self.itself, self.file = self, open({str(tmp_path / "file")!r}, "w")

        pair = Pair()
        pair.file.write("buffered")
        uvicorn.run("embedded_apps:app", port={free_port})
        """,
    )
    process = program(path, command=MODULE)
    wait_until(lambda: answers(free_port) or process.poll() is not None, lambda: process.stderr.read())
    code, out = process.end(signal.SIGTERM)
    assert (code, out.splitlines()[-1]) == (0, "frozen True")
    assert (tmp_path / "file").read_text() == "buffered"


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("'no_such:app'", 3),
        ("failing", 3),
        ("app, workers=2", 3),
        ("app, port=PORT", 3),
    ],
)
def test_run_that_fails(tmp_path, free_port, arguments, code):
    import socket

    text = """
        import uvicorn
        async def app(scope, receive, send): ...
        async def failing(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no"})
        uvicorn.run(ARGUMENTS)
    """
    with socket.create_server(("127.0.0.1", free_port)):
        done = run(script(tmp_path, text.replace("ARGUMENTS", arguments.replace("PORT", str(free_port)))))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(("ERROR:", "WARNING:"))
