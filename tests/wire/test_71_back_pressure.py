"""Slow readers and slow apps: who waits for whom, and what it costs in memory."""

import array
import asyncio
import fcntl
import hashlib
import json
import os
import socket
import stat
import termios
import threading
import time

import pytest

from harness import wait_until
from saltare import _core
from wire_apps import PIECE, QUIET, answer, chunk, download, get, piece, post, post_chunked, start

MIB = 1 << 20
GIB = 1 << 30
WINDOW = 64 << 10  # limit of unsent or unreceived bytes before the other side has to wait


class Memory:
    """The peak RSS of a process while the block runs, and its RSS before, in bytes."""

    def __init__(self, pid):
        self._statm = f"/proc/{pid}/statm"
        self._over = threading.Event()

    def now(self):
        with open(self._statm) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _watch(self):
        while not self._over.wait(0.002):
            self.most = max(self.most, self.now())

    def __enter__(self):
        self.idle = self.most = self.now()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_large_download_by_a_slow_reader(cli_server, raw, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("wire_apps:download", "--lifespan", "off", "--loop", loop)
    client = raw(server)
    client.get(f"/{4 * MIB}").read_response()  # brings back the pages of code that serving needs
    buffer = bytearray(MIB)
    with Memory(server.pid) as memory:
        client.get(f"/{GIB}").read_until(b"\r\n\r\n")
        left = GIB - len(client._unread)
        rest = 0
        while left > 0:
            size = client.socket.recv_into(buffer, min(left, MIB))
            assert size > 0
            left -= size
            rest += size
            if rest > 64 * MIB:
                rest = 0
                time.sleep(0.02)
    assert memory.most - memory.idle < 2 * MIB


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_upload_to_a_slow_app(cli_server, raw, loop, framing):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("wire_apps:upload", "--lifespan", "off", "--loop", loop, "--max-request-body", "0")
    client = raw(server)
    client.send(post(bytes(4 * MIB))).read_response()
    data = bytes(MIB)
    with Memory(server.pid) as memory:
        if framing == "length":
            client.send(post(b"", length=GIB))
            for _ in range(GIB // MIB):
                client.send(data)
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"%x\r\n%s\r\n" % (MIB, data)
            for _ in range(GIB // MIB):
                client.send(chunk)
            client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"%d" % GIB
    assert memory.most - memory.idle < 2 * MIB


def other_end(client):
    """The server's socket of a connection within this process."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.stat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as one:
                if one.family == socket.AF_INET and one.getpeername() == client.getsockname():
                    return one.dup()
        except OSError:
            continue
    raise AssertionError("the server has no such connection")


def waiting(request, one):
    """Bytes in a kernel queue: FIONREAD of those received, TIOCOUTQ of those sent."""
    number = array.array("i", [0])
    fcntl.ioctl(one, request, number)
    return number[0]


def stands_still(counter):
    before = counter[0]
    time.sleep(0.1)
    return counter[0] == before > 0


@pytest.mark.parametrize("size", [100, 1000, 4096, 5000, 16384, 65536, 200_000])
def test_send_waits_while_much_is_unsent(serve_by, raw, size):
    """At most 64 KiB and a piece are accepted by send() beyond what the kernel holds; chunk sizes are not counted."""
    said, go_on = [0], threading.Event()

    async def app(scope, receive, send):
        await start(send, (b"content-length", b"%d" % GIB))
        while not go_on.is_set():
            await piece(send, b"x" * size)
            said[0] += size

    client = raw(serve_by(app, **QUIET)).send(get())
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    head = len(client.read_until(b"\r\n\r\n"))
    assert head > 0
    with other_end(client.socket) as server_side:
        wait_until(lambda: stands_still(said))
        kernel = waiting(termios.FIONREAD, client.socket) + waiting(termios.TIOCOUTQ, server_side)
    assert said[0] - kernel - len(client._unread) <= WINDOW
    assert _core.live()["borrowed"] <= WINDOW // size + 2  # one of them partly sent, and the one that waits
    go_on.set()


def test_a_body_waits_in_the_kernel(serve_by, raw):
    """When an app has received one piece and pauses, the server reads not much more than 64 KiB ahead."""
    taken, go_on, sent = [], threading.Event(), [0]

    async def app(scope, receive, send):
        taken.append(len((await receive())["body"]))
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            taken.append(len(message["body"]))
        await answer(send, b"%d" % sum(taken))

    client = raw(serve_by(app, **QUIET, max_request_body=0)).send(post(b"", length=20 * MIB))

    def send_all():
        while sent[0] < 20 * MIB:
            sent[0] += client.socket.send(bytes(min(PIECE, 20 * MIB - sent[0])))

    sender = threading.Thread(target=send_all)
    sender.start()
    wait_until(lambda: taken)
    with other_end(client.socket) as server_side:
        wait_until(lambda: stands_still(sent))
        kernel = waiting(termios.FIONREAD, server_side) + waiting(termios.TIOCOUTQ, client.socket)
    assert sent[0] - kernel - taken[0] <= 2 * WINDOW
    assert sender.is_alive()
    go_on.set()
    sender.join()
    assert client.read_response().body == b"%d" % (20 * MIB)


DRIP = 65_000


def in_segments(client, parts, sent):
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for part in parts:
        client.send(part)
        sent[0] += 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("form", ["bytes", "chunks", "chunks at once"])
def test_a_drip_of_single_bytes(cli_server, raw, form, loop):
    """Data that arrives while the app is busy becomes few messages, however cut, and mostly waits in the kernel."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = cli_server("wire_apps:hoard", "--lifespan", "off", "--loop", loop)
    data = os.urandom(DRIP)
    parts = [data[i : i + 1] for i in range(DRIP)]
    client, sent = raw(server), [0]
    if form == "bytes":
        client.send(post(b"", length=DRIP))
    else:
        client.send(post_chunked(end=b""))
        parts = [chunk(part) for part in parts] + [b"0\r\n\r\n"]
    if form == "chunks at once":
        parts = [b"".join(parts)]
    sender = threading.Thread(target=in_segments, args=(client, parts, sent))
    sender.start()
    wait_until(lambda: not sender.is_alive(), lambda: f"{sent[0]} of {len(parts)} were sent")
    with raw(server) as other:
        other.get("/go").read_response()
    sender.join()
    came = json.loads(client.read_response().body)
    assert came["digest"] == hashlib.sha256(data).hexdigest()
    assert len(came["sizes"]) < 100
    assert max(came["sizes"]) <= 2 * WINDOW


def test_several_slow_readers_wait_by_themselves(serve_by, raw):
    """Each connection has its own window; the fast one is served meanwhile."""
    server = serve_by(download, **QUIET)
    slow = [raw(server).get(f"/{16 * MIB}") for _ in range(20)]
    quick = raw(server)
    for _ in range(5):
        assert len(quick.get(f"/{4 * MIB}").read_response().body) == 4 * MIB
    for client in slow:
        assert client.read_response().body == bytes(16 * MIB)
