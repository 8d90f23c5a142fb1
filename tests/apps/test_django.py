"""Django served under ASGI."""

import asyncio
import gc
import hashlib
from pathlib import Path

import httpx
import pytest

import app_django
from app_django import EVENTS, app
from harness import wait_until


@pytest.fixture
def server(serve_on):
    EVENTS.clear()
    return serve_on(app, max_request_body="20MiB")


def wait_for(event):
    wait_until(lambda: event in EVENTS, lambda: f"{event!r} did not happen: {EVENTS}")


def test_views(client):
    seen = client.get("/sync/", params={"a": "ü"}, headers={"user-agent": "test"}).json()
    assert (seen["path"], seen["query"], seen["agent"], seen["peer"]) == ("/sync/", {"a": "ü"}, "test", "127.0.0.1")
    assert (seen["host"], seen["port"]) == (f"127.0.0.1:{client.base_url.port}", str(client.base_url.port))
    assert seen["thread"] is True
    reply = client.post("/async/日本/", content=b"x" * 500_000)
    assert (reply.json()["name"], reply.json()["length"], reply.json()["method"]) == ("日本", 500_000, "POST")
    assert (reply.headers["x-sync"], reply.headers["x-async"]) == ("1", "1")
    assert client.get("/sync").headers["location"] == "/sync/"
    assert client.get("/nowhere/").status_code == 404
    head = client.head("/sync/")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_streams(client):
    assert client.get("/stream/").text == "".join(f"{number}\n" for number in range(200))
    download = client.get("/download/")
    assert download.content == Path(app_django.__file__).read_bytes() * 50
    assert download.headers["content-disposition"] == 'attachment; filename="download.bin"'


def test_a_client_that_leaves_a_stream(client):
    with client.stream("GET", "/endless/") as reply:
        assert next(reply.iter_lines()) == "data: tick"
    # Cancelling a view within send() leaves its generator to the collector, in a cycle with its exception.
    wait_until(lambda: gc.collect() >= 0 and "stream over" in EVENTS, lambda: f"the stream goes on: {EVENTS}")


def test_a_client_that_leaves_cancels_its_view(server, raw):
    client = raw(server).get("/wait/")
    wait_for("waiting")
    client.close()
    wait_for("cancelled")


def test_upload(client):
    data = bytes(range(256)) * 40_000
    reply = client.post("/upload/", files={"file": ("file.bin", data)}, data={"note": "é"})
    assert reply.json() == {
        "name": "file.bin",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "note": "é",
    }


def test_a_body_over_djangos_own_limit(client):
    assert client.post("/sync/", content=b"x" * 1_100_000).status_code == 400
    assert client.get("/sync/").status_code == 200


def test_sessions(client):
    assert [client.get("/session/").text for _ in range(3)] == ["1", "2", "3"]


def test_errors(client):
    assert client.get("/fails/").status_code == 500
    assert client.get("/sync/").status_code == 200


def test_many_at_once(server):
    async def talk():
        async with httpx.AsyncClient(base_url=server.url, timeout=25) as client:
            paths = [f"/async/{n}/" if n % 2 else f"/sync/?n={n}" for n in range(60)]
            replies = await asyncio.gather(*(client.get(path) for path in paths))
        assert [reply.status_code for reply in replies] == [200] * 60
        assert [reply.json()["name"] for reply in replies[1::2]] == [str(n) for n in range(1, 60, 2)]

    asyncio.run(talk())


def test_root_path(serve):
    """Behind a proxy that strips the prefix; Django calls the prefix SCRIPT_NAME."""
    seen = httpx.get(serve(app, root_path="/shop").url + "/sync/").json()
    assert seen["path"] == "/shop/sync/"


def test_from_the_command_line(cli_server):
    server = cli_server("app_django:app")
    assert httpx.get(server.url + "/async/x/").json()["name"] == "x"
    assert server.stop() == 0
