"""FastAPI served, over httpx: inputs, responses, streams, background work, threads, errors, lifespan."""

import asyncio
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import app_fastapi
from app_fastapi import EVENTS, GO_ON, app, bare
from harness import wait_until


@pytest.fixture(autouse=True)
def clean_slate():
    EVENTS.clear()
    GO_ON.clear()
    yield
    GO_ON.set()


@pytest.fixture
def server(serve_on):
    return serve_on(app, max_request_body="60MiB")


def wait_for(event):
    wait_until(lambda: event in EVENTS, lambda: f"{event!r} did not happen: {EVENTS}")


# --- inputs


def test_parameters(client):
    assert client.get("/").json() == {"message": "Hello, world!"}
    assert client.get("/items/7", params={"q": "ü", "size": 5}).json() == {"number": 7, "q": "ü", "size": 5}
    assert client.get("/files/a%2Fb/c%20d/é").json() == {"path": "a/b/c d/é"}
    seen = client.get(
        "/inputs?x=1", headers=[("x-token", "a"), ("x-token", "b"), ("user-agent", "test"), ("cookie", "session=s")]
    )
    assert seen.json() == {
        "tokens": ["a", "b"],
        "session": "s",
        "agent": "test",
        "url": f"{client.base_url}/inputs?x=1",
    }
    assert client.post("/form", data={"name": "é", "colour": ["red", "blue"]}).json() == {
        "name": "é",
        "colours": ["red", "blue"],
    }


def test_validation(client):
    reply = client.get("/items/x", params={"size": 1000})
    assert reply.status_code == 422
    assert [error["loc"] for error in reply.json()["detail"]] == [["path", "number"], ["query", "size"]]
    assert client.post("/items", json={"name": "", "price": -1}).status_code == 422
    assert client.post("/items", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    assert client.put("/items", json={}).status_code == 405
    assert client.get("/nowhere").json() == {"detail": "Not Found"}


def test_json_bodies(client):
    reply = client.post("/items", json={"name": "ключ", "price": 1.5, "tags": ["a", "b"]})
    assert (reply.status_code, reply.json()) == (201, {"name": "ключ", "price": 1.5, "tags": ["a", "b"]})
    large = {"name": "n" * 500_000, "price": 1}
    assert client.post("/items", json=large).json()["name"] == large["name"]


def test_answers(client):
    missing = client.get("/items/404")
    assert (missing.status_code, missing.headers["x-reason"], missing.json()) == (
        404,
        "unknown",
        {"detail": "no such item"},
    )
    redirect = client.get("/cookies")
    assert (redirect.status_code, redirect.headers["location"]) == (303, "/items/1")
    assert [value.split("=")[0] for value in redirect.headers.get_list("set-cookie")] == ["a", "b"]
    assert client.get("/cookies", follow_redirects=True).json()["number"] == 1
    deleted = client.delete("/items/1")
    assert (deleted.status_code, deleted.content, "content-length" in deleted.headers) == (204, b"", False)
    assert client.get("/early-hints").headers["link"] == "</style.css>; rel=preload"
    assert client.get("/items/404").headers["x-middleware"] == "GET /items/404"


def test_documentation(client):
    assert "/items/{number}" in client.get("/openapi.json").json()["paths"]
    assert "swagger" in client.get("/docs").text.lower()


def test_dependencies_with_yield(client):
    assert client.get("/dependent").json()["events"] == ["startup", "opened"]
    wait_for("closed")


def test_gzip(client):
    reply = client.get("/big")
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.text == "text " * 20_000
    plain = client.get("/big", headers={"accept-encoding": "identity"})
    assert (plain.headers["content-length"], plain.text) == ("100000", reply.text)


# --- bodies in both directions


def test_upload_of_50_mb(client):
    data = hashlib.sha256(b"x").digest() * (50_000_000 // 32)
    reply = client.post("/upload", files={"file": ("big é.bin", data, "application/x-test")}, data={"note": "n"})
    assert reply.json() == {
        "name": "big é.bin",
        "type": "application/x-test",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "note": "n",
    }


def test_streamed_request(client):
    reply = client.post("/raw", content=(b"x" * 1000 for _ in range(500)))
    assert reply.json() == {"size": 500_000}


def test_streamed_answers(client):
    with client.stream("GET", "/stream?count=500") as reply:
        assert "content-length" not in reply.headers
        assert list(reply.iter_lines()) == [f"line {number}" for number in range(500)]
    assert client.get("/stream-in-thread").text == "".join(f"{number}\n" for number in range(100))


def test_server_sent_events_until_the_client_leaves(server, client):
    with client.stream("GET", "/events", headers={"accept-encoding": "identity"}) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = iter(reply.iter_lines())
        assert [next(lines) for _ in range(6)] == ["id: 0", "data: tick 0", "", "id: 1", "data: tick 1", ""]
        assert "events over" not in EVENTS
    wait_for("events over")
    assert client.get("/").status_code == 200
    assert "Traceback" not in server.logs()


# --- work besides the response


def test_background_tasks_run_after_the_answer(client):
    assert client.post("/background").json() == {"accepted": True}
    assert "background done" not in EVENTS
    assert [client.get("/items/1").status_code for _ in range(5)] == [200] * 5
    assert "background done" not in EVENTS
    GO_ON.set()
    wait_for("background done")
    wait_for("sync background done")


def test_sync_endpoints_run_in_threads(client):
    assert client.get("/thread").json()["thread"] != client.get("/loop").json()["thread"]
    assert client.get("/thread").json()["loop"] is False


def test_sync_endpoints_run_at_once(server):
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: httpx.get(f"{server.url}/meet", timeout=25).json()["place"], range(4)))
    assert sorted(places) == [0, 1, 2, 3]


def test_disconnect_is_seen_by_a_waiting_request(serve_on, raw):
    client = raw(serve_on(bare)).get("/wait")
    wait_for("waiting")
    client.close()
    wait_for("disconnected")


# --- errors


def test_errors_before_the_answer(server, client):
    teapot = client.get("/teapot")
    assert (teapot.status_code, teapot.json()) == (418, {"error": "short and stout"})
    assert client.get("/fails").status_code == 500
    server.wait_for_log("RuntimeError: failed before the answer")
    assert client.get("/").status_code == 200


def test_errors_in_the_answer(serve_on):
    server = serve_on(bare)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url + "/fails-late")
    server.wait_for_log("RuntimeError: failed in the answer")
    assert httpx.get(server.url).status_code == 200


# --- lifespan


def test_lifespan_and_state(server, client):
    assert EVENTS == ["startup"]
    replies = [client.get("/state").json() for _ in range(3)]
    assert [reply["mine"] for reply in replies] == [1, 1, 1]
    assert [reply["pool"] for reply in replies] == [2, 3, 4]
    assert replies[0]["name"] == "state of the lifespan"
    server.stop()
    assert EVENTS == ["startup", "shutdown"]


def test_root_path(serve):
    """Behind a proxy that strips the prefix."""
    url = serve(app, root_path="/api/v1").url
    assert httpx.get(url + "/items/3").json()["number"] == 3
    assert httpx.get(url + "/openapi.json").json()["servers"] == [{"url": "/api/v1"}]


def test_client_address(client):
    seen = client.get("/client").json()
    assert seen["host"] == "127.0.0.1" and type(seen["port"]) is int


def test_many_at_once(server):
    async def talk():
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=25) as client:
            replies = await asyncio.gather(*(client.get(f"/items/{n}", params={"q": str(n)}) for n in range(300)))
        assert [reply.json().get("q") for reply in replies] == [str(n) for n in range(300)]

    asyncio.run(talk())


def test_from_the_command_line(cli_server):
    server = cli_server("app_fastapi:app")
    assert httpx.get(server.url + "/items/5").json()["number"] == 5
    assert re.match(r"http://127\.0\.0\.1:\d+$", server.url)
    assert server.stop() == 0


def test_factory_from_the_command_line(cli_server):
    server = cli_server("app_fastapi:make_app", "--factory")
    assert httpx.get(server.url + "/").json() == app_fastapi.make_app().state.greeting
