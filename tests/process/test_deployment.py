"""The files of deploy/: each is read, and run as far as possible on a machine without root's services."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from family import wait_for_workers, workers
from harness import unused_port, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
SALTARE = [sys.executable, "-m", "saltare"]
SPARE = 3  # seconds for a kill, beyond the two of shutdown_timeout
APP = """
import os

async def app(scope, receive, send):
    body = f"{os.getpid()} {scope['client']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / name)
    return parser


def accepted(arguments, folder):
    """Whether the command line accepts them."""
    done = subprocess.run([*SALTARE, *arguments, "--check"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return True


def seconds(arguments, option="--shutdown-timeout"):
    return int(arguments[arguments.index(option) + 1].rstrip("s"))


def get(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")[2].decode()


# ---- systemd ----


@pytest.fixture
def service(folder):
    """saltare.service as systemd would start it on saltare.socket, except for folders and user."""
    section, path = unit("saltare.service")["Service"], folder / "saltare.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    command = [*SALTARE, *shlex.split(section["ExecStart"])[1:]]
    code = (
        "import os, sys\n"
        f"os.dup2({listener.fileno()}, 3) if {listener.fileno()} != 3 else os.set_inheritable(3, True)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    with open(folder / "journal", "w") as journal:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *command], cwd=folder, pass_fds=[listener.fileno()], stderr=journal
        )
    process.path, process.logs = path, (folder / "journal").read_text
    wait_until(lambda: "listening on" in process.logs() or process.poll() is not None, process.logs)
    yield process
    listener.close()
    if process.poll() is None:
        process.kill()
        process.wait()


def test_the_service_starts_reloads_and_stops(service):
    section = unit("saltare.service")["Service"]
    assert f"unix:{service.path}" in service.logs()
    assert get(service.path)
    before = workers(service)
    name = re.fullmatch(r"/bin/kill -(\w+) \$MAINPID", section["ExecReload"])[1]
    service.send_signal(signal.Signals[f"SIG{name}"])
    wait_for_workers(service, len(before), without=before)
    assert int(get(service.path).split()[0]) not in before
    service.terminate()
    assert service.wait(30) == 0, service.logs()
    assert service.path.exists()  # systemd keeps it for the next start


def test_the_service_gives_the_drain_its_time():
    section = unit("saltare.service")["Service"]
    assert int(section["TimeoutStopSec"]) >= 2 * seconds(shlex.split(section["ExecStart"])) + SPARE
    assert section["KillMode"] == "mixed"


def test_systemd_reads_the_units(folder):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    for name in ("saltare.service", "saltare.socket"):
        text = (DEPLOY / name).read_text().replace("/srv/app/.venv/bin/saltare", sys.executable)
        (folder / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", folder / "saltare.service", folder / "saltare.socket"],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if "saltare" in line and "/srv/app" not in line]
    assert complaints == []


# ---- nginx ----


@pytest.mark.skipif(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="no nginx")
def test_nginx_by_a_unix_socket(cli_server, folder):
    """Its upstream connections are kept, and closed before the server closes them."""
    path, port = folder / "saltare.sock", unused_port()
    cli_server("main:app", "--workers", "2", "--uds", path, "--lifespan", "off", cwd=folder)
    shipped = (DEPLOY / "nginx.conf").read_text()
    (folder / "site.conf").write_text(
        shipped.replace("unix:/run/saltare.sock", f"unix:{path}").replace("listen 80;", f"listen 127.0.0.1:{port};")
    )
    paths = "".join(f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid nginx.pid; {'user root;' if os.geteuid() == 0 else ''} error_log errors.log warn; events {{}}"
        f"http {{ access_log off; {paths} include site.conf; }}"
    )
    nginx = [shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "-p", folder, "-e", "errors.log"]
    nginx += ["-c", folder / "nginx.conf"]
    tested = subprocess.run([*nginx, "-t"], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(nginx)
    try:
        answers = set()
        wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        with socket.create_connection(("127.0.0.1", port), 30) as client, client.makefile("rb") as answer:
            for _ in range(20):
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b" 200 " in answer.readline()
                length = next(int(line[15:]) for line in answer if line.lower().startswith(b"content-length:"))
                while answer.readline().strip():
                    pass
                answers.add(answer.read(length).split()[0])
    finally:
        process.terminate()
        process.wait(30)
    assert len(answers) <= 2
    assert "error" not in (folder / "errors.log").read_text()


def test_nginx_lets_go_of_connections_first():
    from saltare.options.table import BY_NAME

    (idle,) = re.findall(r"^    keepalive_timeout (\d+)s;", (DEPLOY / "nginx.conf").read_text(), re.MULTILINE)
    assert int(idle) < BY_NAME["keep_alive_timeout"].default


# ---- containers ----


def manifests():
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def test_kubernetes(folder):
    deployment, service = manifests()
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    program, *arguments = container["args"]
    assert program == "saltare" and accepted(arguments, folder)
    patience = seconds(arguments, "--drain-delay") + 2 * seconds(arguments) + SPARE
    assert pod["terminationGracePeriodSeconds"] >= patience
    assert container["readinessProbe"]["httpGet"]["path"] == arguments[arguments.index("--health-path") + 1]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    assert str(container["ports"][0]["containerPort"]) in arguments


def test_the_image(folder):
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2 and stages[1].endswith("-slim")
    last = lines[lines.index(stages[1]) :]
    assert any(re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", line) for line in last)
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in last if line.startswith("CMD ")]
    assert command[0] == "saltare" and accepted(command[1:], folder)
    for copied in re.findall(r"^ARG APP=(\S+)$", "\n".join(lines), re.MULTILINE):
        assert (DEPLOY.parent / copied / "main.py").is_file()
