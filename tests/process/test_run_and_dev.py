"""`saltare PATH`, `saltare run` and `saltare dev` with a server behind them: they do what `saltare main:app` does."""

import json
import os
import signal
import subprocess
import sys

import pytest

from family import wait_for_workers, watcher
from harness import wait_until
from rawsocket import Raw

APP = """
import json, os, sys

class App:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": event["type"] + ".complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        body = json.dumps({
            "version": VERSION, "pid": os.getpid(), "client": scope["client"][0], "scheme": scope["scheme"],
            "path": sys.path[0], "environment": os.environ.get("FASTAPI_ENV"), "modules": sorted(sys.modules),
        }).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def edited(tmp_path):
    """Writes a version of the app, which gets another name with each, into a package below src."""

    def write(version, name):
        path = tmp_path / "src" / "shop" / "main.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            (path.parent / "__init__.py").touch()
        path.write_text(f"VERSION = {version!r}\n{APP}\n{name} = App()\n")
        write.stamp += 2  # a .pyc is trusted when second and size are equal
        os.utime(path, (write.stamp, write.stamp))

    write.stamp, write.folder = 1_700_000_000, tmp_path
    write("first", "application")
    return write


def seen(server, *fields):
    with Raw(server) as client:
        return json.loads(client.get("/", "Connection: close", *fields).read_response().body)


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--workers", "2", "--no-preload"]], ids=" ".join)
def test_new_code_may_name_the_app_otherwise(cli_server, edited, options):
    server = cli_server("src/shop/main.py", "--host", "127.0.0.1", *options, cwd=edited.folder)
    if options:
        wait_for_workers(server, 2)
    assert seen(server)["version"] == "first"
    assert seen(server)["path"] == str(edited.folder / "src")
    assert 'INFO the app is "shop.main:application"' in server.logs()
    edited("second", "service")
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: seen(server)["version"] == "second", server.logs)
    assert server.stop() == 0


def test_new_code_without_an_app_is_not_taken_over(cli_server, edited):
    server = cli_server("src/shop/main.py", cwd=edited.folder)
    (edited.folder / "src" / "shop" / "main.py").write_text("several = words = len\n")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("the server keeps serving the old code")
    assert 'there is no ASGI app in "shop.main"' in server.logs()
    assert seen(server)["version"] == "first"


def test_run_serves_everybody_and_believes_a_proxy_on_this_machine(cli_server, edited):
    (edited.folder / "pyproject.toml").write_text('[tool.saltare]\napp = "src/shop/main.py"\n')
    server = cli_server("run", cwd=edited.folder)
    assert server.url.startswith("http://0.0.0.0:")
    told = seen(server, "X-Forwarded-For: 10.9.8.7", "X-Forwarded-Proto: https")
    assert (told["client"], told["scheme"], told["environment"]) == ("10.9.8.7", "https", None)


def test_a_path_alone_changes_nothing_but_the_search(cli_server, edited):
    server = cli_server("src/shop/main.py", cwd=edited.folder)
    assert server.url.startswith("http://127.0.0.1:")
    told = seen(server, "X-Forwarded-For: 10.9.8.7")
    assert told["client"] == "10.9.8.7"
    unwanted = {
        "saltare.app.search",
        "saltare.compat.proxy_headers",
        "saltare.options.proxy_values",
        "saltare.options.app_path",
        "saltare.options.sources",
    }
    assert not unwanted & set(told["modules"])


def test_dev_restarts_when_the_file_changes(cli_server, edited):
    pytest.importorskip("watchfiles")
    server = cli_server("dev", "src/shop/main.py", cwd=edited.folder)
    wait_until(lambda: watcher(server, edited.folder / "src"))
    assert server.url.startswith("http://127.0.0.1:")
    assert seen(server)["environment"] == "development"
    edited("second", "service")
    wait_until(lambda: version(server) == "second", server.logs)
    assert "src/shop/main.py has changed: restarting" in server.logs()
    assert server.stop() == 0


def version(server):
    try:
        return seen(server)["version"]
    except OSError:  # between two workers
        return None


@pytest.mark.parametrize(
    ("text", "arguments", "code", "line"),
    [
        ("def (:\n", ["run"], 3, 'importing "main" failed: SyntaxError: '),
        ("x = 5\n", ["main.py"], 3, 'there is no ASGI app in "main"'),
        ("x = 5\n", ["run", "nix.py"], 2, "app: got 'nix.py' (there is no such file or folder in "),
    ],
)
def test_what_cannot_be_served(tmp_path, text, arguments, code, line):
    (tmp_path / "main.py").write_text(text)
    command = [sys.executable, "-m", "saltare", *arguments, "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1].startswith(f"saltare: {line}")


def test_a_program_may_name_a_path(edited):
    code = "import saltare, threading; saltare.run('src/shop/main.py', port=0)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=edited.folder, stderr=subprocess.PIPE, text=True) as program:
        lines = [program.stderr.readline() for _ in range(2)]
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
    assert 'the app is "shop.main:application"' in lines[0] and "listening on" in lines[1]


def test_dev_in_an_interpreter_that_is_watched(edited):
    """It serves in place, and the app finds the same environment."""
    code = "import sys; from saltare.cli import main; sys.exit(main(['dev', '--no-reload', '--port', '0']))"
    (edited.folder / "main.py").write_text(
        "import os\nprint(os.environ['FASTAPI_ENV'], flush=True)\nsys = os.nothing\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=edited.folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "development\n")
