"""From a request to a websocket: which handshakes are accepted, which are refused, and which stay HTTP requests."""

import pytest

from frames import ACCEPT, FIELDS, KEY, TEXT, Frame, frame, text
from wire_apps import QUIET, answer

PLAIN = "who asks for no websocket gets an answer"


def socket_app(**accept):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await answer(send, PLAIN.encode())
        app.scopes.append(scope)
        assert (await receive()) == {"type": "websocket.connect"}
        await send({"type": "websocket.accept", **accept})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({**message, "type": "websocket.send"})

    app.scopes = []
    return app


def test_the_answer(serve_by, meet):
    peer = meet(serve_by(socket_app(), **QUIET))
    assert peer.answer.status == 101 and peer.answer.reason == "Switching Protocols"
    assert peer.answer.headers == [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", ACCEPT),
    ]
    assert peer.send(text("hello")).read_frame() == Frame(TEXT, b"hello")


def test_fields_of_the_app_and_of_the_server(serve_by, meet):
    app = socket_app(headers=[(b"x-own", b"1"), (b"Upgrade", b"h2c"), (b"connection", b"close")], subprotocol="v2")
    peer = meet(
        serve_by(app, server_header="me", header=["x-all: 2"], lifespan="off"), "/", "Sec-WebSocket-Protocol: v1, v2"
    )
    for name, value in {
        "x-own": "1",
        "x-all": "2",
        "server": "me",
        "upgrade": "websocket",
        "connection": "upgrade",
    }.items():
        assert peer.answer.all(name) == [value]
    assert peer.answer.get("sec-websocket-protocol") == "v2" and peer.answer.get("date")


def test_the_scope(serve_by, meet):
    app = socket_app()
    server = serve_by(app, root_path="/root", **QUIET)
    meet(server, "/caf%C3%A9?q=1", "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c")
    scope = app.scopes[0]
    headers = scope.pop("headers")
    assert (b"sec-websocket-key", KEY.encode()) in headers and (b"host", b"test") in headers
    client = scope.pop("client")
    assert client[0] == "127.0.0.1"
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/root/café",
        "raw_path": b"/caf%C3%A9",
        "query_string": b"q=1",
        "root_path": "/root",
        "server": ("127.0.0.1", server.port),
        "subprotocols": ["a", "b", "c"],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }


def test_frames_behind_the_request(serve_by, raw):
    """In the same packet, and cut at every position of it."""
    server = serve_by(socket_app(), **QUIET)
    request = "\r\n".join(["GET / HTTP/1.1", "Host: test", *FIELDS, "", ""]).encode()
    whole = request + text("first") + frame(TEXT, b"second")
    for at in [*range(1, len(whole), 17), len(request), len(request) + 1, len(whole)]:
        client = raw(server).send(whole[:at])
        client.send(whole[at:])
        assert client.read_response().status == 101
        assert client.read_exactly(7) + client.read_exactly(8) == b"\x81\x05first\x81\x06second"


@pytest.mark.parametrize(
    ("changed", "status"),
    {
        "no key": ({"Sec-WebSocket-Key": None}, 400),
        "a short key": ({"Sec-WebSocket-Key": "abc"}, 400),
        "a key that is no base64": ({"Sec-WebSocket-Key": "!!!!IHNhbXBsZSBub25jZQ=="}, 400),
        "a key of 15 octets": ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j"}, 400),
        "no version": ({"Sec-WebSocket-Version": None}, 426),
        "an old version": ({"Sec-WebSocket-Version": "8"}, 426),
        "a subprotocol that is no token": ({"Sec-WebSocket-Protocol": "a b"}, 400),
    }.values(),
)
def test_refused(serve, raw, changed, status):
    app = socket_app()
    server = serve(app, log_level="debug", **QUIET)
    given = dict(field.split(": ") for field in FIELDS) | changed
    client = raw(server).get("/", *(f"{name}: {value}" for name, value in given.items() if value is not None))
    refusal = client.read_response()
    assert refusal.status == status and app.scopes == []
    assert refusal.get("sec-websocket-version") == ("13" if status == 426 else None)
    assert client.read_all() == b""
    server.wait_for_log(f"answered {status} while reading the request head")
    assert "websocket" in server.logs()


@pytest.mark.parametrize(
    "request_",
    [
        "GET / HTTP/1.0|Host: test|" + "|".join(FIELDS),
        "POST / HTTP/1.1|Host: test|Content-Length: 0|" + "|".join(FIELDS),
        "GET / HTTP/1.1|Host: test|Content-Length: 1|" + "|".join(FIELDS) + "||x",
        "GET / HTTP/1.1|Host: test|Upgrade: h2c|Connection: Upgrade",
        "GET / HTTP/1.1|Host: test|Upgrade: websocket",
        "GET / HTTP/1.1|Host: test|" + "|".join(FIELDS[2:]),
    ],
    ids=["1.0", "POST", "with a body", "another protocol", "no connection option", "no upgrade"],
)
def test_a_request_that_asks_for_none(serve, raw, request_):
    app = socket_app()
    head, _, body = request_.partition("||")
    client = raw(serve(app, **QUIET)).send((head.replace("|", "\r\n") + "\r\n\r\n" + body).encode())
    assert client.read_response().body == PLAIN.encode()
    assert app.scopes == []


def test_host_is_as_strict(serve, raw):
    fields = "\r\n".join(FIELDS)
    client = raw(serve(socket_app(), **QUIET)).send(f"GET / HTTP/1.1\r\n{fields}\r\n\r\n".encode())
    assert client.read_response().status == 400


def denying(*messages):
    async def app(scope, receive, send):
        await receive()
        for message in messages:
            await send(message)
        app.after.append(await receive())

    app.after = []
    return app


def test_closed_before_it_was_accepted(serve, meet):
    app = denying({"type": "websocket.close", "code": 4000, "reason": "no"})
    server = serve(app, log_level="debug", **QUIET)
    peer = meet(server)
    assert peer.answer.status == 403 and peer.ended()
    assert app.after == [{"type": "websocket.disconnect", "code": 1006, "reason": "no"}]


@pytest.mark.parametrize(
    ("code", "status"),
    {4001: 401, 4003: 403, 4004: 404, 4008: 408, 4029: 429, 1000: 403, 3000: 403, 4002: 403, 4999: 403}.items(),
)
def test_the_status_that_a_close_code_stands_for(serve, meet, code, status):
    app = denying({"type": "websocket.close", "code": code})
    server = serve(app, log_level="debug", **QUIET)
    peer = meet(server)
    assert peer.answer.status == status and peer.ended()
    assert peer.answer.get("connection") == "close"
    assert peer.answer.get("www-authenticate") is None  # only the app knows the scheme
    assert "answered" not in server.logs()  # it is no mistake of the peer


def test_denied(serve_by, meet):
    start = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Basic")]}
    body = {"type": "websocket.http.response.body", "body": b"who are ", "more_body": True}
    app = denying(start, body, {"type": "websocket.http.response.body", "body": b"you?"})
    peer = meet(serve_by(app, **QUIET))
    assert peer.answer.status == 401 and peer.answer.body == b"who are you?"
    assert peer.answer.get("www-authenticate") == "Basic" and peer.answer.get("connection") == "close"
    assert peer.ended()


@pytest.mark.parametrize("ending", ["raises", "returns"])
def test_an_app_that_ends_before_it_answered(serve, ending, meet):
    async def app(scope, receive, send):
        if ending == "raises":
            raise ValueError("of the app")

    server = serve(app, **QUIET)
    peer = meet(server, "/chat")
    assert peer.answer.status == 500 and peer.ended()
    server.wait_for_log("WebSocket '/chat'")
    assert ("ValueError: of the app" in server.logs()) == (ending == "raises")
