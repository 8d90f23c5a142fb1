"""Quart served."""

import hashlib
from pathlib import Path

import httpx
import pytest

import app_quart
from app_quart import EVENTS, app
from harness import wait_until


@pytest.fixture
def server(serve_on):
    EVENTS.clear()
    return serve_on(app, max_request_body="20MiB")


def wait_for(event):
    wait_until(lambda: event in EVENTS, lambda: f"{event!r} did not happen: {EVENTS}")


def test_requests(client):
    assert client.get("/items/7?q=ü").json() == {"number": 7, "q": "ü", "peer": "127.0.0.1", "root": ""}
    assert client.get("/items/404").status_code == 404
    assert client.post("/echo", json={"a": ["é", 1]}).json() == {"a": ["é", 1]}
    assert client.put("/echo").status_code == 405
    head = client.head("/items/7")
    assert (head.status_code, head.content) == (200, b"")
    assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]


def test_sync_views_run_in_threads(client):
    assert client.get("/thread").json()["path"] == "/thread"
    assert client.get("/thread").json()["thread"] != client.get("/loop").json()["thread"]


def test_streams(client):
    reply = client.get("/stream?count=300")
    assert (reply.headers["x-streamed"], reply.text) == ("yes", "".join(f"{number}\n" for number in range(300)))
    data = b"0123456789" * 100
    sent = client.post("/raw", content=(data for _ in range(3000)))
    assert sent.text == hashlib.sha256(data * 3000).hexdigest()


def test_a_client_that_leaves_a_stream(client):
    with client.stream("GET", "/endless") as reply:
        assert next(reply.iter_lines()) == "data: tick"
    wait_for("stream over")


def test_files(client):
    data = bytes(range(256)) * 10_000
    reply = client.post("/upload", files={"file": ("file.bin", data)}, data={"note": "é"})
    assert reply.json() == {"name": "file.bin", "sha256": hashlib.sha256(data).hexdigest(), "note": "é"}
    content = Path(app_quart.__file__).read_bytes()
    assert client.get("/file").content == content
    part = client.get("/file", headers={"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, content[5:10])


def test_background_and_lifespan(server, client):
    assert client.get("/background").text == "accepted"
    wait_for("background done")
    server.stop()
    assert EVENTS == ["startup", "background done", "shutdown"]


def test_errors(client):
    assert client.get("/fails").status_code == 500
    assert client.get("/items/1").status_code == 200


def test_from_the_command_line(cli_server):
    server = cli_server("app_quart:app")
    assert httpx.get(server.url + "/items/1").json()["number"] == 1
    assert server.stop() == 0
