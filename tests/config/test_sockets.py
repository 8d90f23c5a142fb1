"""Listening sockets: each way to get one, and one clear line for each failure."""

import errno
import os
import socket
import stat

import pytest

from harness import has_ipv6
from saltare.errors import StartError
from saltare.listen.open import open_listeners
from saltare.listen.unix import UNIX_PATH_MAX_BYTES
from saltare.options import sources

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.fixture
def listen(tmp_path):
    opened = []

    def listeners(**given):
        made = open_listeners(sources.load("main:app", given, environ={}, cwd=tmp_path))
        opened.extend(made)
        return made

    yield listeners
    for listener in opened:
        listener.close()


@pytest.fixture
def failed(listen):
    def line(**given):
        before = descriptors()
        with pytest.raises(StartError) as caught:
            listen(**given)
        assert descriptors() == before
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return line


def descriptors():
    return set(os.listdir("/proc/self/fd"))


def answers(listener):
    """Whether the socket accepts a connection."""
    with socket.socket(listener.socket.family) as client:
        client.connect(listener.socket.getsockname())
        listener.socket.accept()[0].close()
    return True


def test_tcp(listen):
    (listener,) = listen(port=0)
    port = listener.socket.getsockname()[1]
    assert listener.address == ("127.0.0.1", port)
    assert listener.url == f"http://127.0.0.1:{port}"
    assert not listener.wildcard
    assert not listener.socket.getblocking()
    assert not os.get_inheritable(listener.fileno())
    assert answers(listener)


def test_accepted_connections_inherit_the_options(listen):
    (listener,) = listen(port=0)
    with socket.create_connection(listener.address):
        listener.socket.setblocking(True)
        accepted = listener.socket.accept()[0]
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


TUNED = {
    "tcp_keepidle": (socket.TCP_KEEPIDLE, 31),
    "tcp_keepintvl": (socket.TCP_KEEPINTVL, 7),
    "tcp_keepcnt": (socket.TCP_KEEPCNT, 4),
    "tcp_user_timeout_ms": (socket.TCP_USER_TIMEOUT, 9000),
}


def accepted_options(listener):
    with socket.create_connection(listener.address):
        listener.socket.setblocking(True)
        with listener.socket.accept()[0] as accepted:
            return {name: accepted.getsockopt(socket.IPPROTO_TCP, option) for name, (option, _) in TUNED.items()}


def test_options_of_tcp_are_those_of_accepted_connections(listen):
    with socket.socket() as plain:
        system = {name: plain.getsockopt(socket.IPPROTO_TCP, option) for name, (option, _) in TUNED.items()}
    (listener,) = listen(port=0)
    assert accepted_options(listener) == system
    (listener,) = listen(port=0, **{name: value for name, (_, value) in TUNED.items()})
    assert accepted_options(listener) == {name: value for name, (_, value) in TUNED.items()}
    (listener,) = listen(port=0, tcp_keepidle=5)
    assert accepted_options(listener) == {**system, "tcp_keepidle": 5}


def test_options_of_tcp_on_a_socket_of_the_previous_program(listen, load):
    (old,) = listen(port=0)
    key = f"tcp 127.0.0.1 {old.address[1]}"
    config = load({"port": old.address[1], "tcp_keepidle": 77})
    (new,) = open_listeners(config, {key: [os.dup(old.fileno())]})
    try:
        assert accepted_options(new)["tcp_keepidle"] == 77
    finally:
        new.close()


@pytest.mark.parametrize(("system", "warns"), [("1", True), ("3", False), ("1538", False)])
def test_fast_open(listen, tmp_path, monkeypatch, caplog, system, warns):
    """The queue's length is that of the listening socket; a warning tells if the system does not use it."""
    from saltare.listen import open as opening

    (tmp_path / "sysctl").write_text(f"{system}\n")
    monkeypatch.setattr(opening, "FAST_OPEN", str(tmp_path / "sysctl"))
    (listener,) = listen(port=0, tcp_fastopen_qlen=55)
    assert listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) == 55
    assert ("tcp_fastopen_qlen has no effect" in caplog.text) is warns


def test_wildcard(listen):
    (listener,) = listen(host="0.0.0.0", port=0)
    assert listener.wildcard
    assert listener.url == f"http://0.0.0.0:{listener.address[1]}"


@ipv6
def test_the_ipv6_wildcard_takes_ipv4_as_well(listen):
    (both,) = listen(host="[::]", port=0)
    assert both.wildcard
    assert both.url == f"http://[::]:{both.address[1]}"
    both.socket.setblocking(True)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as client:
            client.connect((host, both.address[1]))
            both.socket.accept()[0].close()


@ipv6
def test_ipv6_only(listen):
    (six,) = listen(host="::", port=0, ipv6_only=True)
    # The same port is free for IPv4: the socket does not claim it as well.
    (four,) = listen(host="0.0.0.0", port=six.address[1])
    assert answers(four)


@ipv6
def test_both_wildcards_of_a_port(listen):
    (free,) = listen(port=0)
    port = free.address[1]
    free.close()
    assert len(listen(bind=[f"0.0.0.0:{port}", f"[::]:{port}"])) == 2


def test_name_with_several_addresses(listen, monkeypatch):
    two = [(socket.AF_INET, ("127.0.0.2", 0)), (socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET, ("127.0.0.2", 0))]
    resolve_to(monkeypatch, two)
    listeners = listen(host="two.test", port=0)
    assert [one.address[0] for one in listeners] == ["127.0.0.2", "127.0.0.1"]
    assert len({one.address[1] for one in listeners}) == 1


def test_addresses_that_the_machine_lacks_are_left_out(listen, monkeypatch):
    resolve_to(monkeypatch, [(socket.AF_INET, ("192.0.2.1", 0)), (socket.AF_INET, ("127.0.0.1", 0))])
    assert [one.address[0] for one in listen(host="two.test", port=0)] == ["127.0.0.1"]


def resolve_to(monkeypatch, names):
    found = [(family, socket.SOCK_STREAM, 6, "", name) for family, name in names]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_localhost(listen):
    listeners = listen(host="localhost", port=0)
    assert listeners[0].url.startswith("http://127.0.0.1:")


def test_address_of_another_machine(failed):
    assert failed(host="192.0.2.1", port=0) == "cannot listen on 192.0.2.1:0: this machine does not have the address"


def test_unknown_name(failed):
    assert failed(host="no-such-host.invalid").startswith(
        "cannot listen on no-such-host.invalid: the name does not resolve: "
    )
    assert "not a host name" in failed(host="\u00e4" * 80 + ".test")


def test_port_in_use(listen, failed):
    (listener,) = listen(port=0)
    port = listener.address[1]
    assert failed(port=port) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use; another --port, or 0 for a free one, avoids that"
    )


def test_what_is_in_use_has_an_exit_code_of_its_own(listen, tmp_path):
    (taken,) = listen(port=0)
    listen(uds_path=str(tmp_path / "a.sock"))
    for given in ({"port": taken.address[1]}, {"uds_path": str(tmp_path / "a.sock")}):
        with pytest.raises(StartError) as caught:
            listen(**given)
        assert caught.value.exit_code == 3


def test_port_just_left_is_free_again(listen):
    (listener,) = listen(port=0)
    listener.socket.setblocking(True)
    with socket.create_connection(listener.address):
        listener.socket.accept()[0].close()
        listener.close()
        (again,) = listen(port=listener.address[1])
        assert answers(again)


def test_missing_right(failed, monkeypatch):
    def denied(self, name):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    assert failed(port=80) == (
        "cannot listen on 127.0.0.1:80: permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE"
    )


def test_several(listen, tmp_path):
    listeners = listen(bind=["127.0.0.1:0", f"unix:{tmp_path}/a.sock", "127.0.0.1:0"])
    assert [one.url.partition(":")[0] for one in listeners] == ["http", "unix", "http"]
    assert all(answers(one) for one in listeners)


def test_one_failure_closes_all(listen, failed, tmp_path):
    (taken,) = listen(port=0)
    path = tmp_path / "a.sock"
    failed(bind=[f"unix:{path}", "127.0.0.1:0", f"127.0.0.1:{taken.address[1]}"])
    assert not path.exists()


# Unix sockets


def test_unix(listen, tmp_path):
    path = tmp_path / "a.sock"
    (listener,) = listen(uds_path=str(path))
    assert (listener.url, listener.address, listener.wildcard) == (f"unix:{path}", (str(path), None), False)
    assert answers(listener)
    listener.close()
    assert not path.exists()


def test_relative_unix_path_is_removed_from_anywhere(listen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (listener,) = listen(uds_path="a.sock")
    assert listener.address == (str(tmp_path / "a.sock"), None)
    monkeypatch.chdir("/")
    listener.close()
    assert not (tmp_path / "a.sock").exists()


def test_permissions(listen, tmp_path):
    old = os.umask(0o077)
    try:
        listen(bind=[f"unix:{tmp_path}/a.sock"], uds_permissions="660")
        listen(uds_path=f"{tmp_path}/b.sock")
    finally:
        os.umask(old)
    assert mode(tmp_path / "a.sock") == 0o660
    assert mode(tmp_path / "b.sock") == 0o666


def test_socket_is_never_more_open_than_asked_for(listen, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "chmod", lambda path, _: seen.append(mode(path)))
    old = os.umask(0)
    try:
        listen(uds_path=f"{tmp_path}/a.sock", uds_permissions="600")
    finally:
        os.umask(old)
    assert seen == [0o600]


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_stale_socket_is_replaced(listen, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    (listener,) = listen(uds_path=str(path))
    assert answers(listener)


def test_live_socket_is_refused(listen, failed, tmp_path):
    path = tmp_path / "a.sock"
    (listener,) = listen(uds_path=str(path))
    assert failed(uds_path=str(path)) == f"cannot listen on unix:{path}: the socket is in use by another process"
    assert answers(listener)


def test_socket_with_a_full_queue_is_live(failed, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as first:
        live.bind(str(path))
        live.listen(0)
        first.connect(str(path))
        assert "in use by another process" in failed(uds_path=str(path))


def test_other_files_are_left_alone(failed, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert failed(uds_path=str(path)).endswith("there is a file of that name that is not a socket")
    assert path.read_text() == "data"


def test_path_too_long(failed, listen, tmp_path):
    path = f"{tmp_path}/".ljust(UNIX_PATH_MAX_BYTES + 1, "x")
    assert failed(uds_path=path) == (
        f"cannot listen on unix:{path}: the path has {len(path)} bytes and a socket's can have {UNIX_PATH_MAX_BYTES}"
    )
    assert answers(listen(uds_path=path[:-1])[0])


def test_folder_missing(failed, tmp_path):
    assert failed(uds_path=f"{tmp_path}/none/a.sock").endswith(
        f"/none/a.sock: there is no folder {tmp_path}/none; create it"
    )


def test_name_taken_over_by_another_is_not_removed(listen, tmp_path):
    path = tmp_path / "a.sock"
    (listener,) = listen(uds_path=str(path))
    path.unlink()
    (other,) = listen(uds_path=str(path))
    listener.close()
    assert answers(other)


def test_name_is_not_removed_by_a_forked_child(listen, tmp_path):
    path = tmp_path / "a.sock"
    (listener,) = listen(uds_path=str(path))
    child = os.fork()
    if child == 0:
        try:
            listener.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()
    assert answers(listener)


# Inherited descriptors


def test_fd(listen):
    with socket.create_server(("127.0.0.1", 0)) as given:
        (listener,) = listen(fd=given.fileno())
        assert listener.address == given.getsockname()
        assert answers(listener)
        listener.close()
        given.getsockname()  # The original descriptor is still open.


def test_fd_of_a_unix_socket(listen, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(path))
        given.listen()
        (listener,) = listen(bind=[f"fd://{given.fileno()}"])
        assert (listener.url, listener.address) == (f"unix:{path}", (str(path), None))
        listener.close()
    assert path.exists()


def test_fd_that_is_no_listening_socket(failed, tmp_path):
    with open(tmp_path / "file", "w") as file, socket.socket() as idle, socket.socket(type=socket.SOCK_DGRAM) as udp:
        assert failed(fd=file.fileno()) == f"cannot listen on fd {file.fileno()}: not a socket"
        assert failed(fd=idle.fileno()).endswith("a socket that does not listen")
        assert failed(fd=udp.fileno()).endswith("not a TCP or Unix stream socket")
        closed = os.dup(file.fileno())
        os.close(closed)
        assert failed(fd=closed).endswith(
            ": bad file descriptor; what starts saltare has to pass a socket that listens by that number"
        )
