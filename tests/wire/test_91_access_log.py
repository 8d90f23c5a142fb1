"""The access log: what its lines say of each kind of response, and that no client can forge a line."""

import asyncio
import json
import re

import httpx
import pytest
from websockets.sync.client import connect

from frames import close, text
from harness import wait_until
from wire_apps import QUIET, answer, body_of, get, piece, post, post_chunked, request, start

COMBINED = re.compile(r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) ([^"]+)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"$')


class Log:
    """A file that a server writes; `of(n)` are its first n lines, once it has them."""

    def __init__(self, path):
        self.path = path

    def text(self):
        return self.path.read_text(encoding="ascii") if self.path.exists() else ""

    def of(self, n):
        wait_until(lambda: self.text().count("\n") >= n, self.text)
        lines = self.text().splitlines()
        assert len(lines) == n, lines
        return lines

    def records(self, n):
        return [json.loads(line) for line in self.of(n)]

    def record(self):
        return self.records(1)[0]


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "access.log")


@pytest.fixture
def logged(serve_by, log):
    """Serves an app on each driver with an access log, and passes a request to it on."""
    return lambda app, **options: serve_by(app, access_log_path=log.path, **{**QUIET, **options})


async def pieces(scope, receive, send):
    await start(send)
    for number in range(3):
        await piece(send, b"x" * 1000, more=number < 2)


async def echo(scope, receive, send):
    await answer(send, await body_of(receive))


async def nothing(scope, receive, send):
    await receive()
    await start(send, status=int(scope["path"][1:]))
    await piece(send, b"swallowed", more=False)


async def fails(scope, receive, send):
    raise ValueError("as the test wants")


def test_a_line_of_json(logged, log):
    server = logged(echo)
    httpx.post(
        f"{server.url}/a%20b?c=d", content=b"12345", headers={"user-agent": "test", "referer": "r", "x-request-id": "1"}
    )
    record = log.record()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert 0 <= record.pop("latency_us") < 60_000_000
    assert record == {
        "client": "127.0.0.1",
        "request_id": "1",
        "method": "POST",
        "path": "/a%20b?c=d",
        "protocol": "HTTP/1.1",
        "user_agent": "test",
        "referer": "r",
        "status": 200,
        "bytes_in": 5,
        "bytes": 5,
        "outcome": "complete",
    }


@pytest.mark.parametrize(
    ("app", "sent", "expected"),
    [
        (echo, post(b"x" * 100_000), (200, 100_000, 100_000)),
        (echo, post_chunked(b"x" * 500, b"y" * 7), (200, 507, 507)),
        (echo, request("HEAD", "/"), (200, 0, 0)),
        (echo, get(version="1.0"), (200, 0, 0)),
        (pieces, get(), (200, 0, 3000)),
        (pieces, get(version="1.0"), (200, 0, 3000)),
        (nothing, get("/304"), (304, 0, 0)),
        (nothing, get("/204"), (204, 0, 0)),
        (nothing, post(b"ignored", target="/404"), (404, 7, 9)),
        (fails, get(), (500, 0, len("Internal Server Error\n"))),
    ],
)
def test_status_and_bytes(logged, log, raw, app, sent, expected):
    client = raw(logged(app))
    client.send(sent)
    client.read_response("HEAD" if sent.startswith(b"HEAD") else "GET")
    record = log.record()
    assert (record["status"], record["bytes_in"], record["bytes"]) == expected
    assert record["outcome"] == ("failed" if app is fails else "complete")


def test_bytes_of_a_file(logged, log, raw, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 200_000)

    async def app(scope, receive, send):
        await start(send, (b"content-length", b"2000000"))
        await send({"type": "http.response.pathsend", "path": str(path)})

    assert len(raw(logged(app)).get().read_response().body) == 2_000_000
    assert log.record()["bytes"] == 2_000_000


def test_pipelined_and_kept_requests_have_a_line_each(logged, log, raw):
    client = raw(logged(echo))
    client.send(b"".join(get(f"/{n}") for n in range(20)))
    for _ in range(20):
        client.read_response()
    client.get("/last").read_response()
    assert [one["path"] for one in log.records(21)] == [*(f"/{n}" for n in range(20)), "/last"]


def test_a_response_that_a_slow_client_reads_is_logged_when_it_is_sent(logged, log, raw):
    async def app(scope, receive, send):
        await answer(send, b"x" * (32 << 20))

    client = raw(logged(app)).get("/first").get("/second")
    for _ in range(2):
        client.read_response()
    assert [(one["path"], one["bytes"], one["outcome"]) for one in log.records(2)] == [
        ("/first", 32 << 20, "complete"),
        ("/second", 32 << 20, "complete"),
    ]


def test_a_response_that_is_cut(logged, log, raw):
    async def app(scope, receive, send):
        await answer(send, b"x" * (64 << 20))

    client = raw(logged(app)).get()
    client.read_exactly(1 << 20)
    client.reset()
    record = log.record()
    assert (record["status"], record["outcome"]) == (200, "cut")
    assert 1 << 19 < record["bytes"] < 64 << 20


def test_an_app_that_fails_in_the_middle(logged, log, raw):
    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"half")
        raise ValueError("as the test wants")

    raw(logged(app)).get().read_all()
    record = log.record()
    assert (record["status"], record["bytes"], record["outcome"]) == (200, 4, "cut")


def test_a_client_that_leaves_before_the_response(logged, log, raw):
    arrived, left = [], []

    async def app(scope, receive, send):
        arrived.append(scope)
        await receive()
        left.append(await receive())
        await asyncio.sleep(0)

    client = raw(logged(app)).get("/left")
    wait_until(lambda: arrived)
    client.reset()
    record = log.record()
    assert (record["path"], record["status"], record["bytes"], record["outcome"]) == ("/left", 499, 0, "gone")
    assert left == [{"type": "http.disconnect"}]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GARBAGE\r\n\r\n", (400, None, None)),
        (get("/long", "X: " + "x" * (80 << 10)), (431, None, None)),
        (post(b"x" * 2000, target="/big"), (413, "POST", "/big")),
        (b"CONNECT host:1 HTTP/1.1\r\nHost: host:1\r\n\r\n", (501, "CONNECT", None)),
        (
            request("GET", "/ws", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 99"),
            (400, "GET", "/ws"),
        ),
    ],
)
def test_requests_that_the_server_refuses(logged, log, raw, sent, expected):
    client = raw(logged(echo, max_request_body=1000))
    client.send(sent)
    reply = client.read_response()
    record = log.record()
    assert (record["status"], record.get("method"), record.get("path")) == (reply.status, *expected[1:])
    assert reply.status == expected[0] or expected[2] == "/ws"
    assert (record["bytes"], record["outcome"]) == (len(reply.body), "refused")


def test_a_head_that_does_not_end(logged, log, raw):
    client = raw(logged(echo, header_timeout=0.2)).send(b"GET / HTTP/1.1\r\n")
    assert client.read_response().status == 408
    assert (log.record()["status"], log.record()["outcome"]) == (408, "refused")


# ---- websockets ----


async def chat(scope, receive, send):
    await receive()
    if scope["path"] == "/closed":
        await send({"type": "websocket.close", "code": 4003})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4321})
        else:
            await send({"type": "websocket.send", "text": message["text"] * 2})


def test_a_websocket_has_a_line_when_it_opens_and_when_it_closes(logged, log):
    server = logged(chat)
    with connect(f"ws://127.0.0.1:{server.port}/ws?room=1") as socket:
        opened = log.record()
        socket.send("hello")
        assert socket.recv() == "hellohello"
        socket.close(3001)
    closed = log.records(2)[1]
    for record, outcome in ((opened, "open"), (closed, "closed")):
        assert (record["path"], record["status"], record["outcome"]) == ("/ws?room=1", 101, outcome)
    assert (closed["ws_code"], closed["bytes_in"], closed["bytes"]) == (3001, 5, 10)
    assert closed["latency_us"] >= opened["latency_us"] and "ws_code" not in opened


@pytest.mark.parametrize(("sent", "code"), [([text("close"), close(4321)], 4321), ([b"\xff"], 1002), ([], 1006)])
def test_the_code_with_which_a_websocket_ends(logged, log, meet, sent, code):
    peer = meet(logged(chat), "/ws")
    for one in sent:
        peer.send(one)
    if not sent:
        peer.reset()
    assert log.records(2)[1]["ws_code"] == code


def test_a_websocket_that_the_app_declines(logged, log, meet):
    peer = meet(logged(chat), "/closed")
    record = log.record()
    assert (peer.answer.status, record["status"], record["outcome"]) == (403, 403, "refused")


def test_websockets_as_uvicorn_has_them(logged, log):
    server = logged(chat, access_log_format="uvicorn")
    with connect(f"ws://127.0.0.1:{server.port}/ws") as socket:
        port = socket.local_address[1]
        log.of(1)
    assert log.of(2) == [
        f'INFO:     127.0.0.1:{port} - "WebSocket /ws" [accepted]',
        f'INFO:     127.0.0.1:{port} - "WebSocket /ws" [closed 1000]',
    ]


# ---- formats ----


def test_the_combined_format(logged, log):
    server = logged(pieces, access_log_format="combined")
    httpx.get(f"{server.url}/a?b", headers={"user-agent": 'evil " agent', "referer": "http://x/"})
    (line,) = log.of(1)
    parts = COMBINED.match(line).groups()
    assert parts[:3] == ("127.0.0.1", "-", "-")
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/20\d\d:\d\d:\d\d:\d\d \+0000", parts[3])
    assert parts[4:] == ("GET", "/a?b", "HTTP/1.1", "200", "3000", "http://x/", r"evil \x22 agent")


def test_a_format_with_named_fields(logged, log, raw):
    form = "{client} {client_port} {method} {path} {status} {duration_us} {header:x-own} {header:x-none} {worker}"
    client = raw(logged(echo, access_log_format=form)).get("/a?b", "X-Own: mine")
    client.read_response()
    parts = log.of(1)[0].split(" ")
    assert parts[5].isdigit()
    assert parts == ["127.0.0.1", str(client.socket.getsockname()[1]), "GET", "/a?b", "200", parts[5], "mine", "-", "0"]


def test_the_time_until_the_first_byte_is_not_that_until_the_last(logged, log):
    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"first")
        await asyncio.sleep(0.2)
        await piece(send, b"last", more=False)

    httpx.get(logged(app, access_log_format="json:first_byte_us,duration_us").url)
    record = log.record()
    assert record["duration_us"] - record["first_byte_us"] >= 190_000


def test_a_client_on_a_unix_socket(logged, log, raw, tmp_path):
    raw(
        logged(echo, uds_path=str(tmp_path / "socket"), access_log_format="{client} {client_addr} {client_port}")
    ).get().read_response()
    assert log.of(1) == ["unix unix -"]


def test_paths_that_are_left_out(logged, log, raw):
    client = raw(logged(echo, access_log_exclude=["/health", "/static/*"]))
    for path in ("/health", "/health?x", "/h%65alth", "/static/a/b", "/healthy", "/static"):
        client.get(path).read_response()
    assert [one["path"] for one in log.records(2)] == ["/healthy", "/static"]


# ---- what clients send ----

EVIL = [
    'quote " backslash \\ end',
    "tab\there",
    '","status":200,"x":"',
    "\xff\xfe not UTF-8 \xc3",
    "gr\xc3\xbc\xc3\x9fe",
    "\xe2\x80\xa8\xc2\x85 line ends of Unicode",
    "%0d%0a [31m ${jndi:x}",
    "x" * 12_000,
]


@pytest.mark.parametrize("form", ["json", "combined", "uvicorn", '{user_agent} "{path}" {header:x-evil}'])
def test_no_client_can_forge_a_line(logged, log, raw, form):
    server = logged(echo, access_log_format=form)
    for value in EVIL:
        fields = (f"User-Agent: {value}", f"Referer: {value}", f"X-Evil: {value}", f"X-Request-Id: {value}")
        raw(server).get("/%22%0d%0a'\"\\", *fields).read_response()
    lines = log.of(len(EVIL))  # which reads ASCII
    assert all(line.isprintable() for line in lines)
    for line, value in zip(lines, EVIL, strict=True):
        if form == "json":
            record = json.loads(line)
            expected = value.encode("latin-1").decode("utf-8", "replace")
            assert record["user_agent"] in (expected, record["user_agent"][:-3] + "...") and record["status"] == 200
            assert set(record) >= {"time", "client", "path", "outcome"}
        if form == "combined":
            assert COMBINED.match(line)[8] == "200"


def test_nothing_is_written_when_it_is_off(serve_by, raw, log):
    raw(serve_by(echo, access_log_path=log.path, access_log=False, **QUIET)).get().read_response()
    assert not log.path.exists()


def test_lines_are_there_when_the_server_has_ended(serve, raw, log):
    with serve(echo, access_log_path=log.path, **QUIET) as server:
        client = raw(server)
        for _ in range(50):
            client.get().read_response()
    assert log.text().count("\n") == 50
