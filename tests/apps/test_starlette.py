"""Starlette served: files, ranges, streams of requests, mounts, cookies, disconnects."""

import asyncio
import gc
import hashlib
import socket
import threading

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from harness import wait_until

LARGE = hashlib.sha256(b"large").digest() * 300_000  # 9.6 MB


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static")
    (folder / "index.html").write_text("<h1>index</h1>")
    (folder / "sub").mkdir()
    (folder / "sub" / "page.html").write_text("page")
    (folder / "digits.txt").write_text("0123456789" * 10)
    (folder / "naïve name.txt").write_text("ünïcödé")
    (folder / "empty.txt").touch()
    (folder / "large.bin").write_bytes(LARGE)
    return folder


@pytest.fixture
def client(serve_on, folder):
    async def download(request):
        return FileResponse(folder / "digits.txt", filename="zahlen é.txt")

    async def large(request):
        return FileResponse(folder / "large.bin")

    app = Starlette(
        routes=[
            Route("/download", download),
            Route("/large", large),
            Mount("/static", StaticFiles(directory=folder, html=True), name="static"),
        ]
    )
    with httpx.Client(base_url=serve_on(app).url, timeout=25) as client:
        yield client


def ranged(client, value, path="/static/digits.txt", **headers):
    return client.get(path, headers={"range": value, **headers})


def test_static_files(client):
    assert client.get("/static/").text == "<h1>index</h1>"
    assert client.get("/static/sub/page.html").text == "page"
    assert client.get("/static/naïve name.txt").text == "ünïcödé"
    empty = client.get("/static/empty.txt")
    assert (empty.status_code, empty.content, empty.headers["content-length"]) == (200, b"", "0")
    assert client.get("/static/missing").status_code == 404
    assert client.get("/static/%2e%2e/conftest.py").status_code == 404
    assert client.post("/static/digits.txt").status_code == 405


def test_conditional_requests(client):
    first = client.get("/static/digits.txt")
    for name, value in (
        ("if-none-match", first.headers["etag"]),
        ("if-modified-since", first.headers["last-modified"]),
    ):
        unchanged = client.get("/static/digits.txt", headers={name: value})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.get("/static/digits.txt").text == first.text


def test_head_of_a_file(client):
    head = client.head("/static/large.bin")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(LARGE)))
    assert client.get("/static/empty.txt").status_code == 200


def test_ranges(client):
    part = ranged(client, "bytes=10-19")
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "0123456789", "bytes 10-19/100")
    assert ranged(client, "bytes=95-").text == "56789"
    assert ranged(client, "bytes=-3").text == "789"
    assert ranged(client, "bytes=200-").status_code == 416
    several = ranged(client, "bytes=0-1,50-52")
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert int(several.headers["content-length"]) == len(several.content)
    etag = client.head("/static/digits.txt").headers["etag"]
    assert ranged(client, "bytes=0-1", **{"if-range": etag}).status_code == 206
    assert ranged(client, "bytes=0-1", **{"if-range": '"other"'}).status_code == 200


def test_large_file(client):
    assert hashlib.sha256(client.get("/large").content).digest() == hashlib.sha256(LARGE).digest()
    middle = ranged(client, "bytes=4000000-7999999", path="/large")
    assert middle.content == LARGE[4_000_000:8_000_000]


def test_download_name(client):
    assert "zahlen%20%C3%A9.txt" in client.get("/download").headers["content-disposition"]


def test_sessions_cors_and_mounts(serve):
    async def count(request):
        request.session["count"] = request.session.get("count", 0) + 1
        return JSONResponse(
            {"count": request.session["count"], "root": request.scope["root_path"], "url": str(request.url)}
        )

    inner = Starlette(routes=[Route("/count", count)])
    middleware = [
        Middleware(SessionMiddleware, secret_key="secret"),
        Middleware(CORSMiddleware, allow_origins=["https://a.example"]),
    ]
    server = serve(Starlette(routes=[Mount("/inner", inner)], middleware=middleware))
    with httpx.Client(base_url=server.url) as client:
        assert [client.get("/inner/count").json()["count"] for _ in range(3)] == [1, 2, 3]
        seen = client.get("/inner/count?q=1").json()
        assert (seen["root"], seen["url"]) == ("/inner", f"{server.url}/inner/count?q=1")
        preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
        assert (
            client.options("/inner/count", headers=preflight).headers["access-control-allow-origin"]
            == "https://a.example"
        )


def test_a_request_streamed_through_to_the_answer(serve_on):
    async def upper(request):
        async def pieces():
            async for piece in request.stream():
                yield piece.upper()

        return StreamingResponse(pieces())

    # Below 2.4, Starlette listens for the disconnect meanwhile, and takes the pieces of the body from the app.
    app = Starlette(routes=[Route("/", upper, methods=["POST"])])
    server = serve_on(app, max_request_body=0, asgi_spec_version="2.5")
    sent = (b"%d abc\n" % number for number in range(20_000))
    reply = httpx.post(server.url, content=sent, timeout=25)
    assert reply.text == "".join(f"{number} ABC\n" for number in range(20_000))


def test_a_stream_ends_when_its_client_leaves(serve_on, raw):
    ended = threading.Event()

    async def endless(request):
        async def pieces():
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.001)
            finally:
                ended.set()

        return StreamingResponse(pieces())

    server = serve_on(Starlette(routes=[Route("/", endless)]))
    client = raw(server).get()
    client.read_until(b"x" * 1000)
    assert not ended.is_set()
    client.close()

    def has_ended():
        gc.collect()  # a generator that was left during send(), and is in a cycle with the exception
        return ended.is_set()

    wait_until(has_ended)
    server.stop()
    assert "Traceback" not in server.logs()


def test_background_task_of_a_streamed_answer(serve_on):
    events, done = [], threading.Event()

    def afterwards():
        events.append("background")
        done.set()

    async def stream(request):
        async def pieces():
            yield b"1"
            events.append("streamed")

        return StreamingResponse(pieces(), background=BackgroundTask(afterwards))

    server = serve_on(Starlette(routes=[Route("/", stream)]))
    assert httpx.get(server.url).text == "1"
    assert done.wait(20)
    assert events == ["streamed", "background"]


def test_stacked_base_http_middlewares(serve_on):
    async def through(request, call_next):
        response = await call_next(request)
        response.headers["x-depth"] = str(int(response.headers.get("x-depth", 0)) + 1)
        return response

    async def body(request):
        return PlainTextResponse(await request.body())

    routes = [Route("/", body, methods=["POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=through)] * 5)
    with httpx.Client(base_url=serve_on(app).url) as client:
        for size in (0, 10, 100_000):
            reply = client.post("/", content=b"b" * size)
            assert (reply.headers["x-depth"], len(reply.content)) == ("5", size)


def test_a_file_is_sent_by_the_kernel_through_middlewares(serve_on, folder):
    """FileResponse sends the path instead of reading the file, since the scope offers that extension."""
    kinds = []

    async def through(request, call_next):
        response = await call_next(request)
        response.headers["x-seen"] = "1"
        return response

    async def large(request):
        return FileResponse(folder / "large.bin")

    middleware = [Middleware(GZipMiddleware), Middleware(BaseHTTPMiddleware, dispatch=through)]
    starlette = Starlette(routes=[Route("/", large)], middleware=middleware)

    async def app(scope, receive, send):
        async def noted(message):
            kinds.append(message["type"])
            await send(message)

        await starlette(scope, receive, noted)

    plain = {"accept-encoding": "identity"}
    with httpx.Client(base_url=serve_on(app, lifespan="off").url, timeout=25, headers=plain) as client:
        reply = client.get("/")
        assert (reply.headers["x-seen"], reply.content) == ("1", LARGE)
        assert client.head("/").headers["content-length"] == str(len(LARGE))
    assert kinds[:2] == ["http.response.start", "http.response.pathsend"]


def test_files_are_compressed_for_clients_that_accept_it(serve_on, folder):
    """Middleware that compresses gets the bytes of the file, whether or not it knows of files that are sent by path."""
    app = Starlette(routes=[Mount("/", StaticFiles(directory=folder))], middleware=[Middleware(GZipMiddleware)])
    with httpx.Client(base_url=serve_on(app, lifespan="off").url, timeout=25) as client:
        reply = client.get("/large.bin")
        assert (reply.headers["content-encoding"], reply.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert reply.content == LARGE and int(reply.headers.get("content-length", 0)) < len(LARGE)
        reply = client.get("/large.bin", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in reply.headers and reply.content == LARGE


def test_a_silent_stream_ends_with_its_client(serve_on, raw):
    """Starlette listens for the disconnect, as the scope's version of ASGI says it should."""
    streams = []

    async def silent(request):
        async def pieces():
            streams.append("begun")
            try:
                yield b"begun"
                await asyncio.Event().wait()
            finally:
                streams.append("ended")

        return StreamingResponse(pieces())

    server = serve_on(Starlette(routes=[Route("/", silent)]), lifespan="off")
    clients = [raw(server).get() for _ in range(5)]
    for client in clients:
        client.read_until(b"begun")
    assert "ended" not in streams
    for client in clients:
        client.close()
    wait_until(lambda: streams.count("ended") == 5)
    server.stop()
    assert "ERROR" not in server.logs()


def test_a_client_that_half_closes_gets_its_stream(serve_on, raw):
    async def counting(request):
        async def pieces():
            for number in range(10):
                await asyncio.sleep(0.02)
                yield b"%d," % number

        return StreamingResponse(pieces())

    client = raw(serve_on(Starlette(routes=[Route("/", counting)]), lifespan="off")).get()
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_response().body == b"0,1,2,3,4,5,6,7,8,9,"
