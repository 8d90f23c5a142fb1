"""uvicorn's middleware for fields of proxies, and a Config, which reads them by default from proxies on the same host."""

import asyncio

import httpx
import pytest

import saltare
from saltare.compat.proxy_headers import MOST_KNOWN, ProxyHeadersMiddleware, Trusted


def seen(headers, client=("127.0.0.1", 5), kind="http", trusted="127.0.0.1"):
    """What the app gets: its client and scheme."""
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    fields = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": kind, "client": client, "scheme": "http", "headers": fields}
    asyncio.run(ProxyHeadersMiddleware(app, trusted)(scope, None, None))
    return scopes[0]["client"], scopes[0]["scheme"]


HERE = ("127.0.0.1", 5)


@pytest.mark.parametrize(
    ("addresses", "trusted", "client"),
    [
        ("", "127.0.0.1", HERE),
        ("1.2.3.4", "127.0.0.1", ("1.2.3.4", 0)),
        ("1.2.3.4:567", "127.0.0.1", ("1.2.3.4", 567)),
        ("[2001:db8::1]:567", "127.0.0.1", ("2001:db8::1", 567)),
        ("2001:db8::1", "127.0.0.1", ("2001:db8::1", 0)),
        ("6.6.6.6, 1.2.3.4", "127.0.0.1", ("1.2.3.4", 0)),
        ("1.2.3.4, 10.0.0.9", "127.0.0.1, 10.0.0.0/8", ("1.2.3.4", 0)),
        ("10.0.0.8, 10.0.0.9", ["127.0.0.1", "10.0.0.0/8"], ("10.0.0.8", 0)),
        ("6.6.6.6, 1.2.3.4", "*", ("6.6.6.6", 0)),
        ("6.6.6.6, 1.2.3.4", ["*"], ("6.6.6.6", 0)),
        ("6.6.6.6, 1.2.3.4", "127.0.0.1, *", ("1.2.3.4", 0)),
        ("6.6.6.6, 1.2.3.4", ["127.0.0.1", "*"], ("1.2.3.4", 0)),
        ("1.2.3.4", "10.0.0.1, *", HERE),
        ("1.2.3.4, proxy", "127.0.0.1, proxy", ("1.2.3.4", 0)),
        ("1.2.3.4", "10.0.0.1", HERE),
        ("[oops", "127.0.0.1", ("[oops", 0)),
    ],
)
def test_client(addresses, trusted, client):
    assert seen([("x-forwarded-for", addresses)], trusted=trusted)[0] == client


def test_what_is_known_of_addresses_is_bounded():
    long = "a" * 254
    trusted = Trusted(["127.0.0.1", long])
    before = size(trusted)
    assert trusted.has(long) and not trusted.has("b" * 60_000)
    assert size(trusted) == before
    for number in range(3 * MOST_KNOWN):
        assert not trusted.has(f"host{number}")
    assert size(trusted) - before <= MOST_KNOWN


def size(trusted):
    return len(trusted._known)


def test_client_in_several_fields():
    assert seen([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")])[0] == ("1.2.3.4", 0)


@pytest.mark.parametrize(
    ("kind", "given", "scheme"),
    [("http", "https", "https"), ("websocket", "https", "wss"), ("http", "ftp", "http"), ("http", "", "http")],
)
def test_scheme(kind, given, scheme):
    assert seen([("x-forwarded-proto", given)], kind=kind)[1] == scheme


@pytest.mark.parametrize("client", [None, ("1.2.3.4", 5)])
def test_other_peers_are_not_believed(client):
    headers = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-proto", "https")]
    assert seen(headers, client) == (client, "http")


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({}, "1.2.3.4 https"),
        ({"proxy_headers": True, "forwarded_allow_ips": "*"}, "1.2.3.4 https"),
        ({"proxy_headers": False}, "127.0.0.1 http"),
        ({"forwarded_allow_ips": "10.0.0.1"}, "127.0.0.1 http"),
    ],
)
def test_a_config_reads_them_by_default(options, body):
    assert asyncio.run(asked(options)) == body


async def asked(options):
    """The response of an app that says what its scope has, served by a Config, to a request with fields of a proxy."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{scope['client'][0]} {scope['scheme']}".encode()})

    server = saltare.Server(saltare.Config(app, port=0, lifespan="off", log_config=None, **options))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.001)
    headers = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"}
    async with httpx.AsyncClient() as client:
        text = (await client.get(server.url, headers=headers)).text
    server.should_exit = True
    await task
    return text


def test_the_access_log_has_the_client(caplog):
    with caplog.at_level("INFO", "uvicorn.access"):
        asyncio.run(asked({"access_log": True}))
    (line,) = (record.getMessage() for record in caplog.records if record.name == "uvicorn.access")
    assert line == '1.2.3.4:0 - "GET / HTTP/1.1" 200'


def test_the_addresses_of_the_environment(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    assert saltare.Config("main:app", log_config=None).forwarded_allow_ips == "10.0.0.1"
