"""tracemalloc_path: the lines of Python that hold the most memory."""

import re

import pytest

import saltare
from family import workers
from harness import unused_port
from rawsocket import Raw
from saltare.errors import ConfigError

APP = ("traced_apps:app", "--lifespan", "off", "--tracemalloc-path", "/memory")


class At:
    """An address, as Raw takes it."""

    def __init__(self, port):
        self.url, self.port = "http://127.0.0.1", port


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=str)
def test_the_largest_lines(cli_server, options):
    server = cli_server(*APP, *options)
    with Raw(server) as client:
        assert client.get("/memory/").read_response().body == b"app"
        reply = client.get("/memory?x").read_response()
        assert (reply.status, reply.get("cache-control")) == (200, "no-store")
        first, _, names, largest, *others = reply.body.decode().splitlines()
        number, pid = re.match(r"(?:worker (\d) \()?pid (\d+)", first).groups()
        assert int(pid) in (workers(server) if options else [server.pid])
        assert bool(number) == bool(options)
        assert names.split() == ["size", "blocks", "line"]
        assert re.fullmatch(r" *(4\.9|5\.0) MiB +500\d  \S+traced_apps\.py:3", largest)
        assert others.index("") == 29  # 30 lines, then the stacks
        assert "most recent call last:" in others[30]
        client.send(b"POST /memory HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        refused = client.read_response()
        assert (refused.status, refused.get("allow")) == (405, "GET, HEAD")
    assert server.stop() == 0


def test_on_the_admin_address_alone(cli_server):
    """Whatever a trusted proxy says of the host."""
    port = unused_port()
    for host in ("127.0.0.1", "0.0.0.0"):
        server = cli_server(*APP, "--admin-bind", f"{host}:{port}", "--forwarded-allow-ips", "*")
        forged = f"X-Forwarded-Host: {host}:{port}", f"X-Forwarded-Port: {port}"
        with Raw(At(port)) as admin, Raw(server) as client:
            for fields in ((), forged):
                assert b"traced_apps.py:3" in admin.get("/memory", *fields).read_response().body
                assert admin.get("/other", *fields).read_response().status == 404
                assert client.get("/memory", *fields).read_response().body == b"app"
        assert server.stop() == 0


def test_without_it_nothing_is_traced(cli_server):
    server = cli_server("figures_apps:app", "--lifespan", "off")
    with Raw(server) as client:
        assert client.get("/tracemalloc").read_response().body == b"False"


async def app(scope, receive, send):
    """Never called."""


def test_bad_values():
    with pytest.raises(ConfigError, match='tracemalloc_path: got .x.; accepted: a path that starts with "/"'):
        saltare.Server(app, tracemalloc_path="x")
    with pytest.raises(ConfigError, match="contradict each other.*give each its own path"):
        saltare.Server(app, tracemalloc_path="/x", health_path="/x")
