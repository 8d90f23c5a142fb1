"""The command line with a server behind it: where it listens, how it responds, how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
APP = "cli_apps:app"


def seen_by(raw, server):
    """What the app reports, and the response."""
    answer = raw(server).get("/").read_response()
    assert answer.status == 200
    return json.loads(answer.body), answer


def ended(*arguments, cwd=HERE, **more):
    """The result of a command that should end by itself."""
    command = [sys.executable, "-m", "saltare", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_stop(cli_server, raw, number):
    server = cli_server(APP)
    seen, _ = seen_by(raw, server)
    assert seen["pid"] == server.pid
    assert seen["server"] == ["127.0.0.1", server.port]
    assert server.stop(number) == 0
    assert "Traceback" not in server.logs()


def test_startup_line(cli_server):
    server = cli_server(APP)
    expected = rf"INFO saltare \S+ listening on http://127\.0\.0\.1:\d+ \(pid {server.pid}, plain core\)$"
    assert len(re.findall(expected, server.logs(), re.MULTILINE)) == 1
    assert "Ctrl+C" not in server.logs()


def test_serving_process_has_left_the_command_line_behind(cli_server, raw):
    seen, _ = seen_by(raw, cli_server(APP))
    assert not {"argparse", "gettext", "runpy", "saltare.cli", "saltare.launch.cli", "saltare.options.sources"} & set(
        seen["modules"]
    )


IMPORTED = """
import email.mime.text, importlib, json, sys, typing

KNOWN = typing.Dict[str, typing.List[int]]


async def app(scope, receive, send):
    again = typing.Dict[str, typing.List[int]]
    seen = {
        "folders": sorted(sys.path_importer_cache),
        "kept": again is KNOWN,
        "equal": again == KNOWN and hash(again) == hash(KNOWN),
        "later": [importlib.import_module(name).__name__ for name in ("email.mime.image", "written_later")],
    }
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
"""


def test_what_imports_have_cached_goes_and_comes_again(cli_server, raw, tmp_path):
    (tmp_path / "imported.py").write_text(IMPORTED)
    server = cli_server("imported:app", "--lifespan", "off", cwd=tmp_path)
    (tmp_path / "written_later.py").touch()
    seen, _ = seen_by(raw, server)
    assert not [folder for folder in seen["folders"] if folder.endswith("email/mime")]
    assert (seen["kept"], seen["equal"]) == (False, True)
    assert seen["later"] == ["email.mime.image", "written_later"]


def test_header_options(cli_server, raw):
    server = cli_server(
        APP, "--server-header", "other", "--no-date-header", "--header", "x-one: 1", "--header", "x-two: 2"
    )
    _, answer = seen_by(raw, server)
    assert answer.all("server") == ["other"]
    assert answer.all("date") == []
    assert (answer.all("x-one"), answer.all("x-two")) == (["1"], ["2"])


def test_default_headers(cli_server, raw):
    from saltare import __version__

    _, answer = seen_by(raw, cli_server(APP))
    assert answer.all("server") == [f"saltare/{__version__}"]
    assert len(answer.all("date")) == 1
    _, answer = seen_by(raw, cli_server(APP, "--no-server-header"))
    assert answer.all("server") == []


def test_factory_and_root_path(cli_server, raw):
    seen, _ = seen_by(raw, cli_server("cli_apps:make", "--factory", "--root-path", "/api"))
    assert seen["root_path"] == "/api"


def test_app_dir(cli_server, raw, tmp_path):
    server = cli_server(APP, "--app-dir", HERE, cwd=tmp_path)
    assert seen_by(raw, server)[0]["pid"] == server.pid


def test_environment_and_file(cli_server, raw, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.saltare]\nroot_path = "/file"\nserver_header = "file"\n')
    env = {"SALTARE_ROOT_PATH": "/env", "SALTARE_APP_DIR": str(HERE)}
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    seen, answer = seen_by(raw, cli_server(APP, env=env, cwd=tmp_path))
    assert seen["root_path"] == "/env"
    assert answer.all("server") == ["file"]


def test_env_file(cli_server, raw, tmp_path):
    pytest.importorskip("dotenv")
    (tmp_path / ".env").write_text("FROM_ENV_FILE=yes\n")
    seen, _ = seen_by(raw, cli_server(APP, "--env-file", tmp_path / ".env"))
    assert seen["from_env_file"] == "yes"


def test_uds(cli_server, raw, tmp_path):
    path = tmp_path / "a.sock"
    server = cli_server(APP, "--uds", path, "--uds-permissions", "600")
    assert server.url == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    seen, _ = seen_by(raw, server)
    assert seen["server"] == [str(path), None]
    assert server.stop() == 0
    assert not path.exists()


def test_fd(cli_server, raw):
    with socket.create_server(("127.0.0.1", 0)) as given:
        server = cli_server(APP, "--fd", given.fileno(), pass_fds=[given.fileno()])
        assert server.port == given.getsockname()[1]
        assert seen_by(raw, server)[0]["pid"] == server.pid
        assert server.stop() == 0


def test_several_binds(cli_server, raw, tmp_path):
    path = tmp_path / "a.sock"
    server = cli_server(APP, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--bind", "127.0.0.1:0")
    ports = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", server.logs())]
    assert len(set(ports)) == 2
    for port in ports:
        assert json.loads(raw(port).get("/").read_response().body)["server"] == ["127.0.0.1", port]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = ended(APP, "--port", str(taken.getsockname()[1]))
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("saltare: cannot listen on 127.0.0.1:")
    assert "the port is in use" in line


def test_app_that_does_not_start():
    result = ended("cli_apps:does_not_start", "--port", "0")
    assert result.returncode == 3
    assert "the database is away" in result.stderr.splitlines()[-1]
    assert "listening on" not in result.stderr


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        ("cli_apps:nowhere", '--loop "cli_apps:nowhere": "cli_apps" has no attribute "nowhere"'),
        ("nowhere:make", '--loop "nowhere:make": there is no module "nowhere"'),
        ("cli_apps:app", "--loop cli_apps:app cannot be called without arguments: app() missing 3"),
        ("builtins:list", "--loop builtins:list made a list, which is not an event loop"),
    ],
)
def test_a_loop_that_cannot_be_made(loop, said):
    done = ended(APP, "--port", "0", "--loop", loop)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_wsgi_app(tmp_path):
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...\n")
    (tmp_path / "by_name.py").write_text("import saltare\nsaltare.run('shop:app', port=0)\n")
    done = ended("shop:app", "--port", "0", cwd=tmp_path)
    assert done.returncode == 3
    assert 'app "shop:app" (function) takes two arguments, as WSGI apps do' in done.stderr
    assert "listening" not in done.stderr
    done = ended("shop:app", "--port", "0", "--workers", "2", cwd=tmp_path)
    assert done.returncode == 3 and done.stderr.count("as WSGI apps do") == 1
    done = subprocess.run(
        [sys.executable, "by_name.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert 'AppError: app "shop:app" (function) takes two arguments' in done.stderr


def test_traceback_of_the_app_is_logged(cli_server, raw):
    server = cli_server("cli_apps:raises")
    assert raw(server).get("/").read_response().status == 500
    assert server.stop() == 0
    assert server.logs().count("ValueError: of the app") == 1


def test_log_config(cli_server, raw, tmp_path):
    handlers = {"file": {"class": "logging.FileHandler", "filename": str(tmp_path / "out.log")}}
    (tmp_path / "log.json").write_text(
        json.dumps({"handlers": handlers, "root": {"handlers": ["file"], "level": "INFO"}})
    )
    # stderr stays silent, so the port has to be known beforehand
    with socket.create_server(("127.0.0.1", 0)) as given:
        command = [sys.executable, "-m", "saltare", "cli_apps:raises", "--fd", str(given.fileno())]
        command += ["--log-config", str(tmp_path / "log.json")]
        with subprocess.Popen(command, cwd=HERE, stderr=subprocess.PIPE, pass_fds=[given.fileno()]) as process:
            assert raw(given.getsockname()[1]).get("/").read_response().status == 500
            process.terminate()
            assert process.wait(60) == 0
            assert process.stderr.read() == b""
    log = (tmp_path / "out.log").read_text()
    assert "listening on http://127.0.0.1:" in log
    assert "ValueError: of the app" in log


def test_stop_hint_on_a_terminal():
    master, terminal = os.openpty()
    command = [sys.executable, "-m", "saltare", APP, "--port", "0"]
    with subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stderr=terminal) as process:
        os.close(terminal)
        with open(master, "rb", buffering=0) as screen:
            line = screen.read(65536)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
    assert b"core); Ctrl+C to stop" in line


def test_version():
    result = ended("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"saltare \S+ \(plain core, go[\d.]+, cpython [\d.]+\S*\)\n", result.stdout)
