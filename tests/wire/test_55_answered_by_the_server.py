"""Requests that the server answers without the app: health, favicon, CORS preflights."""

import pytest

import saltare
from saltare.errors import ConfigError
from wire_apps import QUIET, answer, get, mirror, post, post_chunked, request

OK = (
    b"HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 2\r\n\r\nok"
)
PREFLIGHT = "Origin: https://shop.example", "Access-Control-Request-Method: PUT"


async def forbidden(scope, receive, send):
    """An app that no request may reach."""
    await answer(send, b"the app", status=599)


def ask(raw, server, *messages):
    client = raw(server).send(b"".join(messages))
    return client.read_response()


def test_health_is_answered_like_any_other_request(serve_by, raw):
    server = serve_by(forbidden, health_path="/health")
    client = raw(server).get("/health?from=probe")
    reply = client.read_response()
    assert (reply.status, reply.body, reply.get("cache-control")) == (200, b"ok", "no-store")
    assert reply.get("server", "").startswith("saltare/")
    assert reply.get("date") and reply.get("connection") is None
    last = client.get("/health", "Connection: close")
    reply = last.read_response()
    assert (reply.status, reply.get("connection")) == (200, "close")
    assert client.read_all() == b""


def test_only_the_exact_path(serve, raw):
    server = serve(mirror, health_path="/health")
    for target in ("/health/", "/healt%68", "/Health", "/", "//health", "/x?/health"):
        assert ask(raw, server, get(target)).body.startswith(b"/"), target
    assert ask(raw, server, get("http://other.example/health")).body == b"ok"


def test_head_and_other_methods(serve, raw):
    server = serve(forbidden, health_path="/health", **QUIET)
    client = raw(server).send(request("HEAD", "/health") + get("/health"))
    assert client.read_exactly(len(OK) - 2 + len(OK)) == OK[:-2] + OK
    for method in ("POST", "OPTIONS", "get"):
        reply = ask(raw, server, request(method, "/health"))
        assert (reply.status, reply.get("allow"), reply.body) == (405, "GET, HEAD", b"Method Not Allowed\n")


def test_a_body_is_discarded(serve, raw):
    server = serve(mirror, health_path="/health", **QUIET)
    client = raw(server)
    for message in (post(b"x" * 1000, target="/health"), post_chunked(b"a", b"b" * 70_000, target="/health")):
        client.send(message + get("/next"))
        assert client.read_response().status == 405
        assert client.read_response().body == b"/next "
    head = request("POST", "/health", "Content-Length: 5", "Expect: 100-continue")
    reply = client.send(head).read_response()
    assert (reply.status, reply.get("connection")) == (405, "close")  # the peer need not send it
    assert (
        ask(raw, serve(forbidden, health_path="/health", max_request_body=10), post(b"x" * 11, target="/health")).status
        == 413
    )


def test_between_requests_for_the_app(serve_by, raw):
    server = serve_by(mirror, health_path="/health", max_keepalive_requests=0, **QUIET)
    count = 1500  # more than one turn answers
    client = raw(server).send(b"".join(get("/health") + (get(f"/{n}") if n % 100 == 0 else b"") for n in range(count)))
    for n in range(count):
        assert client.read_exactly(len(OK)) == OK
        if n % 100 == 0:
            assert client.read_response().body == b"/%d " % n


def test_they_count_for_the_limits(serve, raw):
    server = serve(forbidden, health_path="/health", max_keepalive_requests=2)
    client = raw(server)
    assert client.get("/health").read_response().get("connection") is None
    assert client.get("/health").read_response().get("connection") == "close"
    assert client.read_all() == b""
    old = raw(server).send(get("/health", version="1.0")).read_all()
    assert old.startswith(b"HTTP/1.1 200 OK\r\n")
    assert old.endswith(b"\r\n\r\nok")


def test_a_websocket_handshake_gets_the_same(serve, raw):
    fields = "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"
    server = serve(forbidden, health_path="/health", **QUIET)
    assert ask(raw, server, get("/health", *fields, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")).body == b"ok"


def test_favicon(serve, raw):
    server = serve(forbidden, favicon_204=True, **QUIET)
    reply = raw(server).get("/favicon.ico").read_until(b"\r\n\r\n")
    assert reply == b"HTTP/1.1 204 No Content\r\ncache-control: max-age=86400\r\n\r\n"
    assert ask(raw, server, request("POST", "/favicon.ico", "Content-Length: 0")).status == 405
    assert ask(raw, serve(forbidden), get("/favicon.ico")).status == 599


def test_preflights(serve, raw):
    server = serve(mirror, cors_preflight_allow_all=True, **QUIET)
    fields = *PREFLIGHT, "Access-Control-Request-Headers: authorization, x-a"
    client = raw(server).send(request("OPTIONS", "/items/1", *fields) + get("/next"))
    assert client.read_until(b"\r\n\r\n") == (
        b"HTTP/1.1 204 No Content\r\n"
        b"access-control-allow-origin: *\r\n"
        b"access-control-allow-methods: PUT\r\n"
        b"access-control-allow-headers: authorization, x-a\r\n"
        b"access-control-max-age: 86400\r\n\r\n"
    )
    assert client.read_response().body == b"/next "
    assert ask(raw, server, request("OPTIONS", "/items/1")).body == b"/items/1 "  # no origin: for the app
    assert ask(raw, server, request("GET", "/items/1", *PREFLIGHT)).body == b"/items/1 "
    assert ask(raw, serve(mirror, **QUIET), request("OPTIONS", "/a", *PREFLIGHT)).body == b"/a "


def test_a_preflight_for_a_path_of_the_server(serve, raw):
    server = serve(forbidden, cors_preflight_allow_all=True, health_path="/health", **QUIET)
    assert b" 204 " in raw(server).send(request("OPTIONS", "/health", *PREFLIGHT)).read_until(b"\r\n\r\n")


@pytest.mark.parametrize("path", ["health", "/he alth", "/health?x", "/h#", "/gesundheit-\xfc"])
def test_paths_that_are_refused(path):
    with pytest.raises(ConfigError, match="health_path.*escapes such as %20"):
        saltare.Server(forbidden, health_path=path)


def test_two_options_for_one_path():
    with pytest.raises(ConfigError, match="favicon_204 and .*health_path contradict each other"):
        saltare.Server(forbidden, health_path="/favicon.ico", favicon_204=True)
