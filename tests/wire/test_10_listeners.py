"""Before the first byte: where connections arrive, how many, and what happens without descriptors."""

import os
import resource
import shutil
import socket
import subprocess
import time

import pytest

from harness import has_ipv6, wait_until
from rawsocket import Raw
from wire_apps import QUIET, answer, answered, get, hello, refused

OK = answered(b"hello")


async def where(scope, receive, send):
    """Responds with both addresses as the app sees them."""
    await answer(send, repr((scope["client"], scope["server"])).encode())


def seen_at(address, family=socket.AF_INET):
    """The client's own address, and the addresses that the app saw."""
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(address)
        client.sendall(get("/", "Connection: close"))
        data = b""
        while piece := client.recv(65536):
            data += piece
        name = client.getsockname()
    return name, eval(data.partition(b"\r\n\r\n")[2])


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def test_a_port_of_the_systems_choice(serve):
    first, second = serve(where, **QUIET), serve(where, **QUIET)
    assert first.port != second.port
    for server in (first, second):
        client, seen = seen_at(("127.0.0.1", server.port))
        assert seen == (client, ("127.0.0.1", server.port))


@needs_ipv6
def test_ipv6(serve):
    server = serve(where, **QUIET, host="::1")
    assert server.url == f"http://[::1]:{server.port}"
    client, seen = seen_at(("::1", server.port), socket.AF_INET6)
    assert seen == (client[:2], ("::1", server.port))


def test_a_wildcard_has_the_address_the_client_used(serve):
    server = serve(where, **QUIET, host="0.0.0.0")
    for host in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
        client, seen = seen_at((host, server.port))
        assert seen == (client, (host, server.port))


@needs_ipv6
def test_an_ipv6_wildcard(serve):
    server = serve(where, **QUIET, host="::")
    client, seen = seen_at(("::1", server.port), socket.AF_INET6)
    assert seen == (client[:2], ("::1", server.port))
    client, seen = seen_at(("127.0.0.1", server.port))
    assert seen == (client, ("127.0.0.1", server.port))


@needs_ipv6
def test_an_ipv6_wildcard_alone(serve):
    server = serve(where, **QUIET, host="::", ipv6_only=True)
    client, seen = seen_at(("::1", server.port), socket.AF_INET6)
    assert seen == (client[:2], ("::1", server.port))
    with pytest.raises(ConnectionRefusedError):
        seen_at(("127.0.0.1", server.port))


def test_a_unix_socket(serve, tmp_path):
    path = str(tmp_path / "socket")
    serve(where, **QUIET, uds_path=path)
    assert seen_at(path, socket.AF_UNIX)[1] == (None, (path, None))


def test_large_transfers_over_a_unix_socket(serve, raw, tmp_path):
    async def app(scope, receive, send):
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await answer(send, b"x" * size)

    server = serve(app, **QUIET, uds_path=str(tmp_path / "socket"), max_request_body=0)
    size = 16 << 20
    client = raw(server).send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    assert client.read_response().body == b"x" * size


def test_several_listeners(serve, tmp_path):
    path = str(tmp_path / "socket")
    server = serve(where, **QUIET, bind=["127.0.0.1:0", f"unix:{path}", "127.0.0.2:0"])
    assert seen_at(("127.0.0.1", server.port))[1][1] == ("127.0.0.1", server.port)
    assert seen_at(path, socket.AF_UNIX)[1] == (None, (path, None))


# --- how many


def test_connections_over_the_cap_are_closed_at_once(serve, raw):
    server = serve(hello, **QUIET, max_concurrent_connections=3)
    inside = [raw(server) for _ in range(3)]
    for client in inside:
        assert client.send(get()).read_exactly(len(OK)) == OK
        client.send(get()[:1])  # an idle connection would make room
    for _ in range(5):
        outside = raw(server)
        try:
            assert outside.send(get()).read_all() == b""
        except ConnectionError:
            pass  # it was closed before it could send
    for client in inside:
        assert client.send(get()[1:]).read_exactly(len(OK)) == OK
    inside[0].close()
    wait_until(lambda: is_served(server))


def is_served(server):
    try:
        with Raw(server) as client:
            return client.send(get()).read_exactly(len(OK)) == OK
    except (OSError, EOFError):
        return False


def test_a_cap_of_one_is_one_after_the_other(serve):
    server = serve(hello, **QUIET, max_concurrent_connections=1)
    for _ in range(20):
        wait_until(lambda: is_served(server))


def test_refused_connections_count_too(serve, raw):
    """A connection that lingers after a refusal still counts, until its peer closes."""
    server = serve(hello, **QUIET, max_concurrent_connections=1)
    client = raw(server).send(b"nonsense\r\n\r\n")
    assert client.read_all() == refused("400 Bad Request")
    client.close()
    wait_until(lambda: is_served(server))


# --- without descriptors


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_out_of_descriptors(cli_server, raw, loop):
    """Peers with a request in progress are served, new ones refused, nothing spins, and it ends when a peer leaves."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server(
        "wire_apps:hello", "--lifespan", "off", "--no-date-header", "--no-server-header", "--loop", loop
    )
    assert raw(server).send(get()).read_exactly(len(OK)) == OK
    room = 10
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (descriptors(server.pid) + room, 4096))
    inside, outside = [], []
    for _ in range(4 * room):
        client = raw(server)
        try:
            assert client.send(get()).read_exactly(len(OK)) == OK
            inside.append(client.send(get()[:1]))  # an idle connection would make room
        except (OSError, EOFError):
            outside.append(client)
    assert room // 2 <= len(inside) <= room + 1  # the first connection is idle and makes room
    assert len(outside) >= 3 * room - 1
    before = cpu_seconds(server.pid)
    time.sleep(1)
    assert cpu_seconds(server.pid) - before < 0.5  # a busy loop would have used all of it
    for client in inside:
        assert client.send(get()[1:]).read_exactly(len(OK)) == OK
    inside.pop().close()
    inside.pop().close()
    wait_until(lambda: is_served(server))
    assert 1 <= server.logs().count("connections cannot be accepted") <= room


# ---- options of TCP ----


def options_of_the_server(client, *options):
    """Options of the server's end of a connection to a server in this process."""
    for name in os.listdir("/proc/self/fd"):
        try:
            end = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # no socket, or closed meanwhile
            continue
        with end:
            try:
                if end.getpeername() == client.getsockname():
                    return [end.getsockopt(socket.IPPROTO_TCP, option) for option in options]
            except OSError:
                continue
    raise AssertionError("the server has no such connection")


def test_connections_have_the_options_of_tcp(serve_by, raw):
    tuned = {"tcp_keepidle": 31, "tcp_keepintvl": 7, "tcp_keepcnt": 4, "tcp_user_timeout_ms": 9000}
    client = raw(serve_by(hello, **QUIET, **tuned)).send(get())
    assert client.read_exactly(len(OK)) == OK
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    assert options_of_the_server(client.socket, *options) == [31, 7, 4, 9000]


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")
def test_workers_probe_silent_connections(cli_server, raw):
    server = cli_server("wire_apps:hello", "--lifespan", "off", "--workers", "2", "--tcp-keepidle", "1000")
    client = raw(server).send(get())
    assert client.read_response().status == 200
    command = ["ss", "-Htno", "state", "established", f"sport = :{server.port}"]
    shown = []

    def probed():  # once its last segment is acknowledged
        shown[:] = [subprocess.run(command, capture_output=True, text=True, check=True).stdout]
        return "timer:(keepalive,16min" in shown[0]

    wait_until(probed, lambda: f"{shown}")


def test_the_limit_of_descriptors_is_raised_as_far_as_it_can_be(cli_server):
    """So --auto-raise-nofile needs nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = min(hard, 2048) if hard != resource.RLIM_INFINITY else 2048

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit // 2, limit))

    server = cli_server("wire_apps:hello", "--lifespan", "off", "--auto-raise-nofile", preexec_fn=lower)
    assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0] >= limit - 1  # Go leaves one
