"""A gateway: an app that forwards requests to another server, as streams in both directions."""

import asyncio
import hashlib

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app_asgi import echo

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


def gateway_to(url):
    async def pass_on(request):
        """Forwards every header, hop-by-hop headers included, as faulty gateways do."""
        url = f"{request.url.path}?{request.url.query}"
        client, headers = request.state.client, request.headers.raw
        outgoing = client.build_request(request.method, url, headers=headers, content=request.stream())
        incoming = await client.send(outgoing, stream=True)
        close = BackgroundTask(incoming.aclose)
        answer = StreamingResponse(incoming.aiter_raw(), incoming.status_code, background=close)
        answer.raw_headers = incoming.headers.raw
        return answer

    class Lifespan:
        def __init__(self, app):
            self.client = httpx.AsyncClient(base_url=url, timeout=25)

        async def __aenter__(self):
            return {"client": self.client}

        async def __aexit__(self, *exc):
            await self.client.aclose()

    return Starlette(routes=[Route("/{path:path}", pass_on, methods=METHODS)], lifespan=Lifespan)


@pytest.fixture
def gateway(serve_on):
    inner = serve_on(echo, max_request_body=0)
    outer = serve_on(gateway_to(inner.url), max_request_body=0)
    with httpx.Client(base_url=outer.url, timeout=25) as client:
        yield client


def test_requests(gateway):
    for _ in range(3):
        reply = gateway.get("/a?b=c", headers={"x-one": "1"})
        assert (reply.json()["path"], reply.json()["query"]) == ("/a", "b=c")
        assert ["x-one", "1"] in reply.json()["headers"]
        assert len(reply.headers.get_list("date")) == len(reply.headers.get_list("server")) == 1
    assert gateway.head("/a").content == b""


def test_bodies_in_both_directions(gateway):
    data = hashlib.sha256(b"body").digest() * 100_000
    expected = hashlib.sha256(data).hexdigest()
    assert gateway.post("/", content=data).json()["sha256"] == expected
    pieces = (data[at : at + 30_000] for at in range(0, len(data), 30_000))
    assert gateway.put("/", content=pieces).json()["sha256"] == expected
    assert len(gateway.get("/?stream=10000000").content) == 10_000_000


def test_many_at_once(gateway):
    async def talk():
        async with httpx.AsyncClient(base_url=gateway.base_url, timeout=25) as client:
            replies = await asyncio.gather(*(client.get(f"/{number}") for number in range(150)))
        assert [reply.json()["path"] for reply in replies] == [f"/{number}" for number in range(150)]

    asyncio.run(talk())


def test_clients_that_leave(gateway, raw):
    for _ in range(10):
        with gateway.stream("GET", "/?stream=10000000") as reply:
            assert next(reply.iter_raw())
    assert gateway.get("/a").json()["path"] == "/a"
