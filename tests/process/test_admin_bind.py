"""admin_bind: an address of its own for health and metrics."""

import os
import signal
import socket

import pytest

import saltare
from exposition import scrape
from family import wait_for_workers, workers
from harness import unused_port, wait_until
from rawsocket import Raw
from saltare.errors import ConfigError

PATHS = ("--health-path", "/health", "--metrics-path", "/metrics")


class At:
    """An address, as Raw takes it."""

    def __init__(self, url, port=None):
        self.url, self.port = url, port


def ask(to, path):
    client = Raw(to)
    try:
        return client.get(path).read_response()
    finally:
        client.socket.close()


@pytest.mark.parametrize("count", ["1", "3"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_only_there(cli_server, tmp_path, count, kind):
    path, port = tmp_path / "admin.sock", unused_port()
    address = f"127.0.0.1:{port}" if kind == "tcp" else f"unix:{path}"
    admin = At(f"http://{address}", port) if kind == "tcp" else At(address)
    server = cli_server("worker_apps:app", "--workers", count, "--admin-bind", address, *PATHS, "--lifespan", "off")
    assert f"{address} for admin" in server.logs()
    assert int(ask(server, "/pid").body)
    for _ in range(6):
        assert ask(admin, "/health").body == b"ok"
        assert ask(admin, "/pid").status == 404
        assert scrape(Raw(admin))["saltare_request_duration_seconds_count"] == 1
    for name in PATHS[1::2]:
        assert ask(server, name).status == 500  # of the app, which has no such thing
    assert server.stop() == 0
    assert not path.exists()


def test_it_stays_open_when_workers_are_replaced(cli_server):
    port = unused_port()
    admin = At("http://127.0.0.1", port)
    server = cli_server("worker_apps:app", "--workers", "2", "--admin-bind", f"127.0.0.1:{port}", *PATHS)
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 2, without=before)
    assert ask(admin, "/health").body == b"ok"
    assert ask(admin, "/pid").status == 404
    assert server.stop() == 0


def test_a_single_process_that_is_renewed(cli_server):
    port = unused_port()
    admin = At("http://127.0.0.1", port)
    server = cli_server("worker_apps:app", "--admin-bind", f"127.0.0.1:{port}", *PATHS)
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: server.logs().count("listening on") == 2)
    assert ask(admin, "/health").body == b"ok"
    assert (ask(admin, "/pid").status, ask(server, "/pid").status) == (404, 200)
    assert server.stop() == 0


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"app"})


def test_a_program_with_sockets_of_its_own(serve, tmp_path):
    admin = tmp_path / "admin.sock"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        options = {"lifespan": "off", "admin_bind": f"unix:{admin}", "health_path": "/health"}
        server = saltare.Server(saltare.Config(app, **options))
        import threading

        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        try:
            assert ask(At("http://127.0.0.1", port), "/health").body == b"app"
            assert ask(At(f"unix:{admin}"), "/health").body == b"ok"
        finally:
            server.should_exit = True
            thread.join()
    assert not os.path.exists(admin)


def test_bad_values():
    with pytest.raises(
        ConfigError,
        match="admin_bind.*nothing to answer there: set health_path, metrics_path, status_path or tracemalloc_path",
    ):
        saltare.Server(app, admin_bind="127.0.0.1:9000")
    with pytest.raises(ConfigError, match="admin_bind.*accepted: .*host:port"):
        saltare.Server(app, admin_bind="http://127.0.0.1", health_path="/health")
