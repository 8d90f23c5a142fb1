"""The servers under test: the packages, commands and workloads of each."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

APPS = Path(__file__).parent / "apps"
TREE = Path(__file__).parent.parent
REQUIREMENTS = APPS / "requirements.txt"
EVERY = ("idle", "workers", "raw", "fastapi", "echo", "download", "upload", "stream", "connections")
WORKERS = "--workers 4"


class InstallError(Exception):
    """A server that cannot be installed on this machine; the message is the reason."""


class Server(NamedTuple):
    """One row: {bin} is its virtual environment's, {config} the rendered template of apps/ named by `config`, {workers}
    the flags for one process or for four.

    `many` is added for thousands of open connections; nothing else is tuned.
    """

    name: str
    command: str
    package: str = ""
    beside: str = ""  # further packages
    many: str = ""
    one: str = ""
    four: str = ""  # none: not measured with four processes
    config: str = ""
    workloads: tuple[str, ...] = EVERY
    apps: tuple[str, ...] = ("raw", "fast")

    @property
    def distribution(self):
        return re.match(r"[\w-]*", self.package).group()


SERVERS = {
    server.name: server
    for server in (
        Server(
            "floor",
            "{bin}/python {files}/floor.py {app}",
            workloads=("idle",),
        ),
        Server(
            "saltare",
            "{bin}/saltare {app}:app --port {port} --max-keepalive-requests 1000000000 {workers}",
            package="saltare",
            many="--max-concurrent-connections 32768 --keep-alive-timeout 3600",
            four=WORKERS,
        ),
        Server(
            "saltare-parked",
            "{bin}/saltare {app}:app --port {port} --max-keepalive-requests 1000000000 --park-memory {work} {workers}",
            package="saltare",
            four=WORKERS,
            workloads=("idle", "workers", "fastapi"),
        ),
        Server(
            "saltare-OO",  # saltare-zig does the same by default
            "{bin}/python -OO -m saltare {app}:app --port {port} --max-keepalive-requests 1000000000",
            package="saltare",
            workloads=("idle",),
        ),
        Server(
            "uvicorn",
            "{bin}/uvicorn {app}:app --port {port} --no-access-log {workers}",
            package="uvicorn==0.54.0",
            many="--timeout-keep-alive 3600",
            four=WORKERS,
        ),
        Server(
            "uvicorn[standard]",
            "{bin}/uvicorn {app}:app --port {port} --no-access-log {workers}",
            package="uvicorn[standard]==0.54.0",
            many="--timeout-keep-alive 3600",
            four=WORKERS,
        ),
        Server(
            "gunicorn",
            "{bin}/gunicorn {app}:app --bind 127.0.0.1:{port} -k uvicorn_worker.UvicornWorker --preload {workers}",
            package="uvicorn-worker==0.4.0",
            four=WORKERS,
            workloads=("workers",),
        ),
        Server(
            "gunicorn-no-preload",
            "{bin}/gunicorn {app}:app --bind 127.0.0.1:{port} -k uvicorn_worker.UvicornWorker {workers}",
            package="uvicorn-worker==0.4.0",
            four=WORKERS,
            workloads=("workers",),
        ),
        Server(
            "gunicorn-saltare",
            "{bin}/gunicorn {app}:app --bind 127.0.0.1:{port} -k saltare.workers.SaltareWorker --preload {workers}",
            package="saltare",
            beside="gunicorn==27.0.1",
            four=WORKERS,
            workloads=("workers",),
        ),
        Server(
            "gunicorn-saltare-no-preload",
            "{bin}/gunicorn {app}:app --bind 127.0.0.1:{port} -k saltare.workers.SaltareWorker {workers}",
            package="saltare",
            beside="gunicorn==27.0.1",
            four=WORKERS,
            workloads=("workers",),
        ),
        Server(
            "granian",
            "{bin}/granian {app}:app --interface asgi --http 1 {workers} --port {port} --no-access-log",
            package="granian[uvloop]==2.8.7",
            one="--workers 1",
            four=WORKERS,
            many="--backpressure 32768 --http1-header-read-timeout 60000",
        ),
        Server(
            "h2corn",
            "{bin}/h2corn {app}:app {workers} --port {port} --no-access-log",
            package="h2corn==2.0.0",
            one="--workers 1",
            four=WORKERS,
            many="--timeout-keep-alive 3600",
        ),
        Server(
            "hypercorn",
            "{bin}/hypercorn {app}:app {workers} --config {config}",
            package="hypercorn[uvloop]==0.18.0",
            one="--workers 0",
            four=WORKERS,
            config="hypercorn.toml",
        ),
        Server(
            "fastpysgi",
            "{bin}/fastpysgi {app}:app --host 127.0.0.1 --port {port}",
            package="fastpysgi==0.6",
            workloads=tuple(name for name in EVERY if name != "workers"),
        ),
        Server(
            "saltare-zig",
            "{bin}/saltare {app}:app --port {port} --max-keepalive-requests 1000000000 {workers}",
            package="saltare==1.13.0",
            many="--max-concurrent-connections 32768 --keep-alive-timeout 3600",
            four=WORKERS,
        ),
        Server(
            "nginx",
            "nginx -p {work} -c {config}",
            config="nginx.conf",
            workloads=("idle", "raw", "connections"),
            apps=("raw",),
        ),
    )
}


def install(server, python, cache):
    """Make the server's virtual environment under `cache` if it is missing or its pins have changed.

    Returns (its bin directory, its version). The server of this tree is installed anew every time.
    """
    if server.name == "nginx":
        return None, nginx_version()
    home = cache / python_tag(python) / server.name
    wanted = f"{server.package} {server.beside}\n{REQUIREMENTS.read_text()}"
    stamp = home / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        command([python, "-m", "venv", home])
        pinned = server.package if "==" in server.package else ""
        pip(home, *pinned.split(), *server.beside.split(), "-r", REQUIREMENTS)
        stamp.write_text(wanted)
    if server.package and "==" not in server.package:
        pip(home, "--force-reinstall", "--no-deps", TREE)
    return home / "bin", version(home, server)


def pip(home, *arguments):
    command([home / "bin/python", "-m", "pip", "install", "--quiet", *filter(None, arguments)])


def version(home, server):
    if not server.distribution:
        return ""
    ask = f"import importlib.metadata as m; print(m.version({server.distribution!r}))"
    return command([home / "bin/python", "-c", ask], cwd=home).strip()


def nginx_version():
    if not shutil.which("nginx"):
        raise InstallError("nginx is not on the PATH (apt-get install nginx)")
    answer = subprocess.run(["nginx", "-v"], capture_output=True, text=True)
    return answer.stderr.strip().rpartition("/")[2]


def python_tag(python):
    return command([python, "-c", "import platform as p; print(p.python_version())"]).strip()


def command(words, cwd=None):
    """Run the command; returns its output, or raises InstallError with its last error."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in said if "error" in line.lower()]
        raise InstallError((errors or said or ["no output"])[-1].strip()[:200])
    return done.stdout
