"""What WebSockets may hold: when idle, and whatever a peer does."""

import contextlib
import socket
import time

import pytest
from measure import held

from frames import BINARY, CONTINUATION, PING, TEXT, Frame, Peer, close, frame, text
from test_memory import DESCRIPTORS, enough_descriptors

MIB = 1 << 20
KIB_OF_MIB = 1024
IDLE, PER_SOCKET = 5000, 4500  # 312 of it are the core's records, the rest is the app's task, scope and frames
GIB = 1 << 30


def server_of(cli_server, *options):
    server = cli_server("app_messages:app", "--lifespan", "off", "--max-concurrent-connections", DESCRIPTORS, *options)
    with Peer(server, "/echo") as peer:  # brings back the pages of code that serving needs
        for size in (1, 1000, 100_000, MIB):
            assert peer.send(frame(BINARY, bytes(size))).read_frame() == Frame(BINARY, bytes(size))
    return server


def test_an_idle_one(cli_server):
    enough_descriptors()
    server = server_of(cli_server)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(Peer(server))
        before = held(server.pid)[1]
        peers = [stack.enter_context(Peer(server)) for _ in range(IDLE)]
        after = held(server.pid)[1]
        for peer in peers[::100]:
            assert peer.send(frame(PING, b"?")).read_frame().payload == b"?"
    assert (after - before) * 1024 / IDLE <= PER_SOCKET


@contextlib.contextmanager
def no_more_than(server, mib):
    """Private memory: a quiet period drops pages of files, which come back."""
    before = held(server.pid)[1]
    yield
    grown = held(server.pid)[1] - before
    assert grown <= mib * KIB_OF_MIB, f"{grown} KiB more"


def test_a_gibibyte_in_fragments(cli_server):
    """The message exceeds ws_max_size, so the connection ends with 1009 and the rest is not read."""
    server = server_of(cli_server, "--ws-max-size", "1MiB")
    piece = frame(CONTINUATION, bytes(MIB // 4), fin=0)
    with no_more_than(server, 2), Peer(server) as peer:
        with contextlib.suppress(ConnectionError):
            peer.send(frame(BINARY, bytes(MIB // 4), fin=0))
            for _ in range(GIB // (MIB // 4)):
                peer.send(piece)
        with contextlib.suppress(ConnectionError):  # a peer that continues to send may lose the Close frame
            assert peer.read_close() == (1009, "the message is over ws_max_size")


def test_a_gibibyte_in_messages(cli_server):
    server = server_of(cli_server)
    message = frame(BINARY, bytes(MIB))
    with no_more_than(server, 4), Peer(server, "/swallow") as peer:
        for _ in range(GIB // MIB):
            peer.send(message)
        assert peer.send(frame(BINARY)).read_frame() == Frame(TEXT, b"%d" % GIB)


def test_peers_that_never_read(cli_server):
    """Each connection may cost 1 MiB and a message, in bytes objects of the app."""
    server = server_of(cli_server)
    peers = 10
    with no_more_than(server, 1.2 * peers), contextlib.ExitStack() as stack:
        for _ in range(peers):
            stack.enter_context(Peer(server, "/flood"))
        time.sleep(1)


def test_peers_that_announce_much_and_send_little(cli_server):
    server = server_of(cli_server)
    with no_more_than(server, 3), contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(Peer(server)).send(frame(BINARY, b"x", length=MIB))
        time.sleep(0.3)


def test_a_flood_of_pings(cli_server):
    server = server_of(cli_server)
    pings = b"".join(frame(PING, b"p" * 125) for _ in range(1000))
    with no_more_than(server, 2), Peer(server) as peer:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        for _ in range(200):
            peer.send(pings)


def test_a_flood_of_empty_messages(cli_server):
    server = server_of(cli_server)
    with no_more_than(server, 3), Peer(server) as peer:
        for _ in range(50):
            peer.send(text("") * 10_000)
        assert peer.send(close(1000)).read_close() == (1000, "")


@pytest.mark.parametrize("size", [1, 100])
def test_a_message_in_a_great_many_fragments(cli_server, size):
    server = server_of(cli_server)
    with no_more_than(server, 3), Peer(server, "/echo") as peer:
        peer.send(frame(TEXT, fin=0))
        for _ in range(MIB // size // 1000):
            peer.send(frame(CONTINUATION, b"x" * size, fin=0) * 1000)
        assert len(peer.send(frame(CONTINUATION)).read_frame().payload) == MIB // size // 1000 * 1000 * size
