"""Servers and proxies that run as programs: how each is started, and its version."""

import contextlib
import importlib.metadata
import re
import socket
import string
import subprocess
import sys
from pathlib import Path

from harness import HANG, unused_port, wait_until

HERE = Path(__file__).parent
DEBIAN = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"]}


class Config(string.Template):
    """With another delimiter, since the configurations are full of dollar signs."""

    delimiter = "%"


def version(name):
    """The version that determines a peer's behaviour: of a distribution, or of a Debian program without its suffix."""
    if name not in DEBIAN:
        return importlib.metadata.version(name)
    said = subprocess.run(DEBIAN[name], capture_output=True, text=True, check=True)
    return re.search(r"\d+(\.\d+)+", said.stdout + said.stderr).group()


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def program(command, port, folder):
    """The port of a program, once it accepts connections there; `folder` keeps its output."""
    log = folder / "output"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, log.read_text)
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.terminate()
        try:
            process.wait(HANG)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def configured(name, folder, **values):
    """(the configuration `name` rendered into the folder, the port it listens on)"""
    folder.mkdir(parents=True, exist_ok=True)
    port = unused_port()
    path = folder / name
    path.write_text(Config((HERE / "configs" / name).read_text()).substitute(port=port, **values))
    return path, port


def nginx_origin(folder):
    config, port = configured("nginx-origin.conf", folder)
    return program(["nginx", "-p", folder, "-e", "stderr", "-c", config], port, folder)


def nginx_proxy(folder, upstream):
    """`upstream` is "host:port" or "unix:/path"; complaints go to errors.log in the folder."""
    config, port = configured("nginx-proxy.conf", folder, upstream=upstream)
    return program(["nginx", "-p", folder, "-e", "stderr", "-c", config], port, folder)


def haproxy(folder, upstream):
    config, port = configured("haproxy.cfg", folder, upstream=upstream)
    return program(["haproxy", "-db", "-f", config], port, folder)


def granian(folder):
    """hyper, a Rust library, is its parser."""
    folder.mkdir(parents=True, exist_ok=True)
    port = unused_port()
    options = ["--interface", "asgi", "--http", "1", "--no-ws", "--workers", "1", "--port", str(port)]
    options += ["--working-dir", str(HERE), "--http1-header-read-timeout", "60000", "--workers-kill-timeout", "1"]
    return program([sys.executable, "-m", "granian", *options, "echo_app:app"], port, folder)
