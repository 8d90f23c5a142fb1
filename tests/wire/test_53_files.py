"""Files named by the app and sent by the kernel: complete, in parts, and when they change meanwhile."""

import contextlib
import hashlib
import os
import threading

import pytest

import saltare
from harness import wait_until
from saltare import _core
from wire_apps import QUIET, get, hello, piece, refused, request, start

MIB = 1 << 20
FAILED = refused("500 Internal Server Error")


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "big"
    block = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(MIB // 32))
    path.write_bytes(block * 20 + b"end")
    return path


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"0123456789")
    return path


def sends_path(path, *headers, status=200):
    async def app(scope, receive, send):
        await start(send, *headers, status=status)
        await send({"type": "http.response.pathsend", "path": str(path)})

    return app


def sends_parts(path, *parts, headers=()):
    """An app that opens the file, and sends these parts of it."""

    async def app(scope, receive, send):
        await start(send, *headers)
        with open(path, "rb", buffering=0) as file:
            for number, part in enumerate(parts, 1):
                more = number < len(parts)
                await send({"type": "http.response.zerocopysend", "file": file, "more_body": more, **part})

    return app


def length_of(path):
    return b"content-length", b"%d" % os.path.getsize(path)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_a_large_file(serve_by, raw, big):
    client = raw(serve_by(sends_path(big, length_of(big)), **QUIET))
    for _ in range(3):
        assert client.get().read_response().body == big.read_bytes()


def test_a_large_file_without_a_declared_length(serve_by, raw, big):
    client = raw(serve_by(sends_path(big), **QUIET))
    for _ in range(2):
        reply = client.get().read_response()
        assert reply.get("content-length") == str(big.stat().st_size) and reply.body == big.read_bytes()


def test_a_large_file_in_one_chunk(serve_by, raw, big):
    client = raw(serve_by(sends_parts(big, {}, {}), **QUIET))
    for _ in range(2):
        reply = client.get().read_response()
        assert reply.get("transfer-encoding") == "chunked" and reply.body == big.read_bytes()


def test_many_readers_at_once(serve_by, raw, big):
    server = serve_by(sends_path(big, length_of(big)), **QUIET)
    clients = [raw(server).get() for _ in range(20)]
    for client in clients:
        assert client.read_response().body == big.read_bytes()


def test_what_is_around_a_file(serve_by, raw, big):
    """Pipelined responses, a head, pieces before and after the file: each in its place."""

    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"before")
        with open(big, "rb") as file:
            await send({"type": "http.response.zerocopysend", "file": file, "more_body": True})
        await piece(send, b"behind" * 2000, more=False)

    client = raw(serve_by(app, **QUIET)).send(get() * 3)
    for _ in range(3):
        assert client.read_response().body == b"before" + big.read_bytes() + b"behind" * 2000


def test_a_small_file_leaves_with_its_head(serve, raw, small):
    client = raw(serve(sends_path(small), **QUIET))
    expected = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789"
    for _ in range(3):
        assert client.send(get()).read_exactly(len(expected)) == expected


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([{}], b"0123456789"),
        ([{"offset": 4}], b"456789"),
        ([{"offset": 4, "count": 3}], b"456"),
        ([{"offset": 0, "count": 0}], b""),
        ([{"offset": 10}], b""),
        ([{"offset": 99, "count": 1}], b""),
        ([{"count": 99}], b"0123456789"),
        ([{"count": 3}, {"count": 3}, {}], b"0123456789"),
        ([{"count": 3}, {"offset": 0, "count": 1}, {"count": 2}], b"012034"),
        ([{"offset": None, "count": None}], b"0123456789"),
    ],
)
def test_parts(serve, raw, small, parts, body):
    client = raw(serve(sends_parts(small, *parts), **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == body


def test_a_range_given_by_the_app(serve, raw, small):
    headers = [(b"content-range", b"bytes 2-5/10"), (b"content-length", b"4")]

    async def app(scope, receive, send):
        await start(send, *headers, status=206)
        with open(small, "rb") as file:
            await send({"type": "http.response.zerocopysend", "file": file, "offset": 2, "count": 4})

    answer = raw(serve(app, **QUIET)).get("/", "Range: bytes=2-5").read_response()
    assert (answer.status, answer.get("content-range"), answer.body) == (206, "bytes 2-5/10", b"2345")


def test_a_descriptor_may_be_closed_at_once(serve, raw, big):
    async def app(scope, receive, send):
        await start(send, length_of(big))
        fd = os.open(big, os.O_RDONLY)
        await send({"type": "http.response.zerocopysend", "file": fd})
        os.close(fd)

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == big.read_bytes()


@pytest.mark.parametrize("app", [sends_path, lambda path: sends_parts(path, {})], ids=["path", "parts"])
def test_head_and_old_clients(serve, raw, small, app):
    server = serve(app(small), **QUIET)
    client = raw(server)
    for _ in range(2):
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
        assert client.send(request("HEAD", "/")).read_exactly(len(head)) == head
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n0123456789"
    assert raw(server).send(get(version="1.0")).read_all() == whole


def test_a_file_as_a_whole_answer(serve, raw, small):
    async def app(scope, receive, send):
        message = {"type": "saltare.sendfile", "path": small}
        if scope["path"] == "/more":
            message |= {"status": 203, "headers": [(b"x", b"y")]}
        if scope["path"] == "/declared":
            message["headers"] = iter([(b"Content-Length", b"7")])
        if scope["path"] == "/started":
            await start(send)
        await send(message)

    client = raw(serve(app, **QUIET))
    for target, head, body in [
        ("/", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", b"0123456789"),
        ("/more", b"HTTP/1.1 203 Non-Authoritative Information\r\nx: y\r\ncontent-length: 10\r\n\r\n", b"0123456789"),
        ("/declared", b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", b"0123456"),
        ("/started", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", b"0123456789"),
    ]:
        assert client.send(get(target)).read_exactly(len(head + body)) == head + body
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
    for _ in range(2):
        assert client.send(request("HEAD", "/")).read_exactly(len(head)) == head


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda path: path / "none", NotADirectoryError, "small/none"),
        (lambda path: path.parent / "none", FileNotFoundError, "none"),
        (lambda path: path.parent, saltare.errors.MessageValueError, "not a regular file"),
        (lambda path: os.mkfifo(path.parent / "fifo") or path.parent / "fifo", ValueError, "not a regular file"),
        (lambda path: "/dev/zero", ValueError, "not a regular file"),
        (lambda path: 3, TypeError, None),
    ],
)
def test_a_path_that_cannot_be_sent_is_an_error_of_the_app(serve, raw, small, make, error, text):
    async def app(scope, receive, send):
        before = descriptors()
        with pytest.raises(error, match=text):
            await send({"type": "saltare.sendfile", "path": path})
        assert descriptors() == before
        await hello(scope, receive, send)

    path = make(small)
    client = raw(serve(app, **QUIET))
    for _ in range(2):
        with contextlib.suppress(FileExistsError):
            assert client.get().read_response().body == b"hello"


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        ({}, saltare.errors.MessageValueError, "no file"),
        ({"file": None}, TypeError, "fileno"),
        ({"file": -1}, ValueError, "negative"),
        ({"file": 1 << 20}, OSError, "Bad file descriptor"),
        ({"file": "small"}, TypeError, "fileno"),
        ({"file": 0, "offset": -1}, saltare.errors.MessageValueError, "offset is negative: -1"),
        ({"file": 0, "count": -5}, saltare.errors.MessageValueError, "count is negative: -5"),
        ({"file": 0, "count": "5"}, TypeError, None),
        ({"file": 0, "offset": 1 << 63}, saltare.errors.MessageValueError, "too big|too large"),
    ],
)
def test_a_file_that_cannot_be_sent_is_an_error_of_the_app(serve, raw, message, error, text):
    async def app(scope, receive, send):
        await start(send, (b"content-length", b"5"))
        before = descriptors()
        with pytest.raises(error, match=text):
            await send({"type": "http.response.zerocopysend", **message})
        assert descriptors() == before
        await piece(send, b"hello", more=False)

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == b"hello"


def test_a_pipe_is_no_file(serve, raw):
    async def app(scope, receive, send):
        await start(send, (b"content-length", b"5"))
        ends = os.pipe()
        with pytest.raises(saltare.errors.MessageValueError, match="not a regular file"):
            await send({"type": "http.response.zerocopysend", "file": ends[0]})
        for end in ends:
            os.close(end)
        await piece(send, b"hello", more=False)

    assert raw(serve(app, **QUIET)).get().read_response().body == b"hello"


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ({"headers": [(b"content-length", b"11")]}, saltare.errors.ContentLengthError),
        ({"status": 204}, saltare.errors.UnexpectedBodyError),
        ({"status": 304, "headers": [(b"content-length", b"10")]}, saltare.errors.UnexpectedBodyError),
        ({"headers": [(b"a", b"\n")]}, saltare.errors.MessageValueError),
    ],
)
def test_a_whole_answer_that_is_refused_leaves_no_trace(serve_by, raw, small, items, error):
    async def app(scope, receive, send):
        before = descriptors()
        with pytest.raises(error):
            await send({"type": "saltare.sendfile", "path": small, **items})
        assert descriptors() == before
        await hello(scope, receive, send)

    client = raw(serve_by(app, **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == b"hello"


def test_a_part_that_is_refused_leaves_the_file_where_it_stood(serve, raw, small):
    async def app(scope, receive, send):
        await start(send, (b"content-length", b"7"))
        with open(small, "rb", buffering=0) as file:
            file.seek(3)
            with pytest.raises(saltare.errors.ContentLengthError):
                await send({"type": "http.response.zerocopysend", "file": file, "count": 6})
            assert file.tell() == 3
            await send({"type": "http.response.zerocopysend", "file": file})
            assert file.tell() == 10

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == b"3456789"


@pytest.mark.parametrize(("declared", "body"), [(10, b"0123456789"), (4, b"0123")])
def test_a_file_that_grew_is_sent_as_declared(serve, raw, small, declared, body):
    client = raw(serve(sends_path(small, (b"content-length", b"%d" % declared)), **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == body


def test_a_file_shorter_than_declared(serve, raw, small):
    server = serve(sends_path(small, (b"content-length", b"11")), **QUIET)
    assert raw(server).send(get() * 2).read_all() == b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n"
    server.wait_for_log("the body is shorter than its content-length: 10 of 11 bytes")


@pytest.mark.parametrize("parts", [[{"count": 6}, {"count": 5}], [{"count": 6}, {"count": 3}]])
def test_parts_of_a_wrong_length(serve, raw, small, parts):
    server = serve(sends_parts(small, *parts, headers=[(b"content-length", b"10"), (b"a", b"b")]), **QUIET)
    client = raw(server).get()
    if sum(part["count"] for part in parts) > 10:
        assert client.read_response().body == b"0123456789"  # the last part ends with the file
    else:
        assert client.read_all() == b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 10\r\n\r\n012345"
        server.wait_for_log("ContentLengthError")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("framing", ["length", "no length"])
def test_a_file_that_shrinks_under_way_ends_the_connection(serve_by, raw, tmp_path, framing, version):
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(64 * MIB))
    headers = [length_of(path)] if framing == "length" else []
    server = serve_by(sends_path(path, *headers), **QUIET)
    client = raw(server).send(get(version=version))
    client.read_until(b"\r\n\r\n")
    os.truncate(path, MIB)
    with pytest.raises(ConnectionResetError):
        client.read_all()
    server.wait_for_log("a file shrank while it was sent")
    assert raw(server).get().read_until(b"\r\n\r\n")


@pytest.mark.parametrize("leave", ["peer", "server"])
def test_files_are_closed_however_it_ends(serve_by, raw, big, leave):
    before = descriptors()
    server = serve_by(sends_path(big, length_of(big)), **QUIET)
    clients = [raw(server).get() for _ in range(5)]
    wait_until(lambda: _core.live()["files"] == 5)
    if leave == "peer":
        for client in clients:
            client.close()
        wait_until(lambda: _core.live()["files"] == 0)
        server.stop()
    else:
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        for client in clients:
            assert client.read_response().body == big.read_bytes()
            client.close()
        stopping.join()
    wait_until(lambda: descriptors() <= before)
    assert _core.live()["files"] == 0


def test_a_slow_reader_of_a_file_holds_up_nobody(serve_by, raw, big):
    async def app(scope, receive, send):
        await (hello if scope["path"] == "/quick" else sends_path(big, length_of(big)))(scope, receive, send)

    server = serve_by(app, **QUIET)
    slow = [raw(server).get() for _ in range(10)]
    quick = raw(server)
    for _ in range(100):
        assert quick.get("/quick").read_response().body == b"hello"
    for client in slow:
        assert client.read_response().body == big.read_bytes()


def test_send_waits_for_a_part_to_be_sent(serve_by, raw, big):
    sent = []

    async def app(scope, receive, send):
        await start(send)
        with open(big, "rb") as file:
            for _ in range(3):
                await send({"type": "http.response.zerocopysend", "file": file, "offset": 0, "more_body": True})
                sent.append(1)
        await piece(send, b"", more=False)

    client = raw(serve_by(app, **QUIET)).get()
    client.read_until(b"\r\n\r\n")
    assert len(sent) < 2  # 20 MiB are more than the kernel buffers
    assert raw(serve_by(hello, **QUIET)).get().read_response().body == b"hello"
    client.send(b"").read_exactly(20 * MIB)
    wait_until(lambda: sent)
