"""Litestar served."""

import hashlib
from pathlib import Path

import httpx
import pytest

import app_litestar
from app_litestar import EVENTS, app
from harness import wait_until


@pytest.fixture
def server(serve_on):
    EVENTS.clear()
    return serve_on(app, max_request_body="20MiB")


def test_requests(client):
    assert client.get("/items/7?q=ü").json() == {"number": 7, "q": "ü"}
    assert client.get("/items/x").status_code == 404
    assert client.get("/items/404").json() == {"status_code": 404, "detail": "no such item"}
    created = client.post("/items", json={"name": "é", "price": 2.5})
    assert (created.status_code, created.json()) == (201, {"name": "é", "price": 2.5})
    assert client.post("/items", json={"name": "no price"}).status_code == 400
    assert client.put("/items", json={}).status_code == 405
    assert (client.delete("/items/1").status_code, client.delete("/items/1").content) == (204, b"")


def test_threads_and_state(client):
    seen = client.get("/thread").json()
    assert seen["state"] == "state of the lifespan"
    assert seen["thread"] != client.get("/loop").json()["thread"]


def test_streams(client):
    assert client.get("/stream").text == "".join(f"{number}\n" for number in range(100))
    events = client.get("/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert [line for line in events.text.splitlines() if line.startswith("data")] == [
        f"data: tick {n}" for n in range(5)
    ]
    assert client.post("/raw", content=(b"x" * 1000 for _ in range(1000))).json() == {"size": 1_000_000}


def test_files(client):
    data = bytes(range(256)) * 40_000
    reply = client.post("/upload", files={"data": ("file.bin", data)})
    assert reply.json() == {"name": "file.bin", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert client.get("/file").content == Path(app_litestar.__file__).read_bytes()


def test_background_and_lifespan(server, client):
    assert client.get("/background").text == "accepted"
    wait_until(lambda: "background done" in EVENTS)
    server.stop()
    assert EVENTS == ["startup", "background done", "shutdown"]


def test_errors(client):
    assert client.get("/fails").status_code == 500
    assert client.get("/items/1").status_code == 200


def test_from_the_command_line(cli_server):
    server = cli_server("app_litestar:app")
    assert httpx.get(server.url + "/items/1").json()["number"] == 1
    assert server.stop() == 0
