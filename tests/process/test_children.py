"""Children that the app leaves behind: they keep neither the port nor a connection, and nothing waits for them."""

import os
import signal

import pytest

from family import alive, killed_at_the_end, wait_for_workers
from harness import wait_until
from rawsocket import Raw
from worker_apps import CHILDREN

MODES = pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["single", "workers"])


def bindable(port):
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()
    return True


def refused(server):
    try:
        Raw(server).close()
    except ConnectionRefusedError:
        return True
    return False


@MODES
@pytest.mark.parametrize("way", CHILDREN)
def test_a_child_keeps_neither_port_nor_connection(cli_server, raw, options, way):
    """The server ends while the child continues, and its port is free."""

    server = cli_server("worker_apps:app", *options)
    kept, asking = raw(server), raw(server)
    assert kept.get("/pid").read_response().status == 200
    with killed_at_the_end(int(asking.get(f"/starts_child/{way}").read_response().body)) as child:
        assert kept.get("/pid").read_response().status == 200  # it continues to serve
        server.popen.send_signal(signal.SIGTERM)
        assert kept.read_all() == asking.read_all() == b""  # both connections have ended, although the child has copies
        wait_until(lambda: refused(server))
        assert bindable(server.port)
        assert alive(child)
        if way.startswith("multiprocessing"):  # an interpreter waits for such children at exit
            os.kill(child, signal.SIGTERM)
        assert server.wait() == 0


@MODES
@pytest.mark.parametrize(
    ("way", "number"),
    [("fork", signal.SIGTERM), ("fork", signal.SIGINT), ("multiprocessing-fork", signal.SIGTERM)],
)
def test_a_signal_to_a_child_is_the_childs(cli_server, raw, options, way, number):
    """The child ends by the signal, and the parent's loop is not affected."""
    server = cli_server("worker_apps:app", *options)
    client = raw(server)
    child = int(client.get(f"/starts_child/{way}").read_response().body)
    os.kill(child, number)
    wait_until(lambda: not alive(child))
    assert client.get("/pid").read_response().get("connection") is None
    assert server.stop() == 0


@MODES
def test_a_connection_ends_for_its_peer_while_a_child_has_a_copy(cli_server, raw, options):
    """Each way a response can be the last one of its connection while the server continues."""
    server = cli_server("worker_apps:app", *options, "--keep-alive-timeout", "300ms")
    idle, closing, old = raw(server), raw(server), raw(server)
    for client in (idle, closing, old):
        client.get("/pid").read_response()
    with killed_at_the_end(int(raw(server).get("/starts_child/fork").read_response().body)) as child:
        assert closing.get("/pid", "Connection: close").read_all().startswith(b"HTTP/1.1 200 ")
        assert old.send(b"GET / HTTP/1.0\r\n\r\n").read_all().startswith(b"HTTP/1.1 ")
        assert idle.read_all() == b""
        assert alive(child)


def test_a_unix_socket_is_gone_though_a_child_has_a_copy(cli_server, raw, tmp_path):
    path = tmp_path / "socket"
    server = cli_server("worker_apps:app", "--workers", "2", "--uds", path)
    kept = raw(server)
    with killed_at_the_end(int(kept.get("/starts_child/fork").read_response().body)):
        assert server.stop() == 0
        assert kept.read_all() == b""
        assert not path.exists()


def test_a_worker_with_children_is_replaced(cli_server, raw):
    """The master does not wait for the end of the pipe, of which the child has a copy."""
    server = cli_server("worker_apps:app", "--workers", "1", "--limit-max-requests", "2", "--limit-max-rss", "4096")
    (first,) = wait_for_workers(server, 1)
    with killed_at_the_end(int(raw(server).get("/starts_child/fork").read_response().body)):
        for _ in range(3):
            raw(server).get("/pid").read_response()
        wait_for_workers(server, 1, without=[first])
        assert raw(server).get("/pid").read_response().body != str(first).encode()


def test_a_forked_child_of_a_test_keeps_no_port(serve, raw):
    """A server in a thread of this process, as in tests of other programs."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    server = serve(app, lifespan="off")
    kept = raw(server)
    assert kept.get().read_response().status == 200
    hold, release = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(release)
        os.read(hold, 1)
        os._exit(0)
    os.close(hold)
    try:
        assert kept.get().read_response().status == 200
        server.stop()
        assert kept.read_all() == b""
        assert refused(server) and bindable(server.port)
    finally:
        os.close(release)
        os.waitpid(child, 0)
