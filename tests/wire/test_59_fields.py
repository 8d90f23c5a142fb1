"""Fields that options add to responses, unless the app sends its own: Server-Timing, security, HSTS."""

import asyncio
import re

import pytest

import saltare
from frames import FIELDS
from saltare.errors import ConfigError
from wire_apps import QUIET, answer, get

TIMING = re.compile(r"total;dur=(\d+\.\d{3})")
SECURITY = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
]
HSTS = "strict-transport-security"
HTTPS = "X-Forwarded-Proto: https"


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        return await send({"type": "websocket.accept"})
    path = scope["path"]
    if path == "/fails":
        raise RuntimeError("on purpose")
    if path.startswith("/waits/"):
        await asyncio.sleep(float(path[7:]))
    if path == "/own":
        return await answer(
            send, b"", (b"X-Frame-Options", b"DENY"), (b"server-timing", b"db;dur=5"), (HSTS.encode(), b"max-age=0")
        )
    if path == "/hints":
        await send({"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]})
    await answer(send, b"hello")


def extra(response):
    return [field for field in response.headers if field[0] not in ("content-length", "content-type", "connection")]


# ---- Server-Timing ----


def test_server_timing(serve_by, raw):
    client = raw(serve_by(app, **QUIET, server_timing=True))
    (value,) = client.get("/waits/0.2").read_response().all("server-timing")
    assert 200 <= float(TIMING.fullmatch(value)[1]) < 60_000
    (value,) = client.get("/").read_response().all("server-timing")
    assert 0 <= float(TIMING.fullmatch(value)[1]) < 60_000
    own, ours = client.get("/own").read_response().all("server-timing")
    assert own == "db;dur=5" and TIMING.fullmatch(ours)


def test_server_timing_of_other_responses(serve_by, raw):
    server = serve_by(app, **QUIET, server_timing=True)
    client = raw(server).get("/hints")
    assert client.read_response().all("server-timing") == []
    assert len(client.read_response().all("server-timing")) == 1
    assert len(raw(server).get("/fails").read_response().all("server-timing")) == 1
    accepted = raw(server).send(get("/", *FIELDS)).read_response()
    assert (accepted.status, len(accepted.all("server-timing"))) == (101, 1)


# ---- security_headers ----


def test_security_fields(serve_by, raw):
    server = serve_by(app, **QUIET, security_headers=True, health_path="/health")
    client = raw(server)
    assert extra(client.get("/").read_response()) == SECURITY
    assert extra(client.get("/health").read_response()) == [("cache-control", "no-store"), *SECURITY]
    own = client.get("/own").read_response()
    assert own.all("x-frame-options") == ["DENY"] and own.get("x-content-type-options") == "nosniff"
    assert extra(client.get("/fails").read_response()) == SECURITY
    assert extra(raw(server).send(b"nonsense\r\n\r\n").read_response()) == SECURITY


def test_a_field_of_the_option_header_counts(serve, raw):
    client = raw(serve(app, **QUIET, security_headers=True, header=["X-FRAME-options: DENY", "a: b"]))
    assert extra(client.get("/").read_response()) == [("x-frame-options", "DENY"), ("a", "b"), SECURITY[0], SECURITY[2]]


# ---- HSTS ----


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"hsts_max_age": 300}, "max-age=300"),
        ({"hsts_max_age": 300, "hsts_include_subdomains": True}, "max-age=300; includeSubDomains"),
        ({"hsts_max_age": 31536000, "hsts_preload": True}, "max-age=31536000; includeSubDomains; preload"),
    ],
    ids=["plain", "subdomains", "preload"],
)
def test_hsts(serve_by, raw, options, value):
    client = raw(serve_by(app, **QUIET, **options))
    assert extra(client.get("/", HTTPS).read_response()) == [(HSTS, value)]
    assert extra(client.get("/").read_response()) == []  # RFC 6797 7.2: never by plain HTTP
    assert client.get("/own", HTTPS).read_response().all(HSTS) == ["max-age=0"]
    assert client.get("/fails", HTTPS).read_response().get(HSTS) == value


def test_a_forged_scheme_brings_no_hsts(serve, raw):
    client = raw(serve(app, **QUIET, hsts_max_age=300, proxy_headers=False))
    assert extra(client.get("/", HTTPS).read_response()) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"hsts_max_age": -1}, "hsts_max_age: got -1"),
        ({"hsts_include_subdomains": True}, "hsts_include_subdomains: .*HSTS is off; write hsts_max_age as well"),
        ({"hsts_preload": True}, "hsts_preload: .*HSTS is off; write hsts_max_age as well"),
        (
            {"hsts_preload": True, "hsts_max_age": 300},
            r"hsts_max_age 300; browsers ask for at least 31536000 \(a year\)",
        ),
        (
            {"hsts_max_age": 300, "header": ["Strict-Transport-Security: max-age=1"]},
            "hsts_max_age and header contradict each other",
        ),
        ({"server_timing": "perhaps"}, "server_timing: got 'perhaps'"),
        ({"security_headers": "DENY"}, "security_headers: got 'DENY'"),
    ],
    ids=lambda one: "",
)
def test_values_that_are_refused(options, why):
    with pytest.raises(ConfigError, match=why):
        saltare.Server(app, **options)


def test_all_together_with_the_options_of_the_zig_saltare(cli_server, raw):
    """Its names and values mean the same here."""
    server = cli_server(
        *("wire_apps:hello", "--lifespan", "off", "--request-id-header", "X-Request-ID", "--traceparent-propagation"),
        *("--server-timing", "--hsts-max-age", "31536000", "--hsts-include-subdomains", "--hsts-preload"),
    )
    response = raw(server).get("/", HTTPS).read_response()
    names = [name for name, _ in response.headers]
    assert {"x-request-id", "traceparent", "server-timing", HSTS} <= set(names) and len(names) == len(set(names))
    assert server.stop() == 0
