"""Common clients against one echoing app: httpx, aiohttp, requests, http.client, curl."""

import asyncio
import hashlib
import http.client
import json
import shutil
import subprocess

import aiohttp
import httpx
import pytest
import requests

from app_asgi import echo

DATA = bytes(range(256)) * 2000  # 512,000 bytes with every value


def digest(data):
    return hashlib.sha256(data).hexdigest()


def pieces():
    for at in range(0, len(DATA), 7000):
        yield DATA[at : at + 7000]


# --- httpx


def test_httpx(serve_on):
    server = serve_on(echo)
    with httpx.Client(base_url=server.url) as client:
        seen = client.get("/päth/日本", params={"q": "ü &=", "r": ["1", "2"]}).json()
        assert (seen["method"], seen["path"]) == ("GET", "/päth/日本")
        assert seen["query"] == "q=%C3%BC+%26%3D&r=1&r=2"
        assert client.post("/", json={"a": 1}).json()["length"] == len(b'{"a":1}')
        assert client.put("/", content=DATA).json()["sha256"] == digest(DATA)
        assert client.patch("/", content=pieces()).json()["sha256"] == digest(DATA)
        head = client.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 100
        assert len(client.get("/?stream=300000").content) == 300000
        assert len({client.get("/").json()["client"][1] for _ in range(10)}) == 1  # one connection for all requests


def test_httpx_async(serve_on):
    server = serve_on(echo)

    async def talk():
        async with httpx.AsyncClient(base_url=server.url) as client:
            replies = await asyncio.gather(*(client.post(f"/{n}", content=b"x" * n) for n in range(100)))
            assert [reply.json()["length"] for reply in replies] == list(range(100))
            assert [reply.json()["path"] for reply in replies] == [f"/{n}" for n in range(100)]
            async with client.stream("GET", "/?stream=1000000") as reply:
                assert sum([len(piece) async for piece in reply.aiter_bytes()]) == 1000000

    asyncio.run(talk())


# --- aiohttp


def test_aiohttp(serve_on):
    server = serve_on(echo)

    async def upload():
        for piece in pieces():
            yield piece

    async def talk():
        connector = aiohttp.TCPConnector(limit=20)
        async with aiohttp.ClientSession(server.url, connector=connector) as session:

            async def send(method, path, **options):
                async with session.request(method, path, **options) as reply:
                    assert reply.status == 200
                    return await reply.json()

            assert (await send("GET", "/päth", params={"a": "ü"}))["path"] == "/päth"
            assert (await send("POST", "/", data=DATA))["sha256"] == digest(DATA)
            assert (await send("POST", "/", data=upload()))["sha256"] == digest(DATA)
            assert (await send("POST", "/", data=b"x" * 5000, expect100=True))["length"] == 5000
            seen = await asyncio.gather(*(send("DELETE", f"/{n}") for n in range(200)))
            assert [one["path"] for one in seen] == [f"/{n}" for n in range(200)]
            assert len({one["client"][1] for one in seen}) <= 20
            async with session.head("/") as reply:
                assert (reply.status, await reply.read()) == (200, b"")
            async with session.get("/?stream=500000") as reply:
                assert len(await reply.read()) == 500000

    asyncio.run(talk())


# --- requests


def test_requests(serve_on):
    server = serve_on(echo)
    with requests.Session() as session:
        seen = session.get(server.url + "/päth/日本?q=ü", headers={"X-One": "1"}, cookies={"a": "b"}).json()
        assert seen["path"] == "/päth/日本"
        assert ["x-one", "1"] in seen["headers"] and ["cookie", "a=b"] in seen["headers"]
        assert session.post(server.url, data=DATA).json()["sha256"] == digest(DATA)
        assert session.post(server.url, data=pieces()).json()["sha256"] == digest(DATA)
        assert session.post(server.url, files={"f": ("n.bin", DATA)}).json()["length"] > len(DATA)
        assert session.head(server.url).content == b""
        assert len(session.get(server.url + "/?stream=300000").content) == 300000
        assert session.options(server.url).json()["method"] == "OPTIONS"
        assert len({session.get(server.url).json()["client"][1] for _ in range(10)}) == 1


# --- http.client


def test_http_client(serve):
    server = serve(echo)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for encode_chunked in (False, True):
        headers = {"Transfer-Encoding": "chunked"} if encode_chunked else {"Content-Length": str(len(DATA))}
        connection.request("POST", "/", body=pieces(), headers=headers, encode_chunked=encode_chunked)
        assert json.load(connection.getresponse())["sha256"] == digest(DATA)
    connection.close()


# --- curl


@pytest.fixture
def curl():
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")

    def curl(*args, data=None):
        command = ["curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", *args]
        done = subprocess.run(command, input=data, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return curl


def test_curl(serve_on, curl):
    url = serve_on(echo, max_request_body=0).url
    assert json.loads(curl(url + "/a?b=c"))["query"] == "b=c"
    assert json.loads(curl(url, "--json", '{"a": 1}'))["length"] == 8
    assert json.loads(curl(url, "--http1.0"))["version"] == "1.0"
    assert len(curl(url + "/?stream=100000", "--http1.0")) == 100000
    assert curl(url, "--head").startswith(b"HTTP/1.1 200 OK\r\n")


def test_curl_uploads(serve_on, curl):
    """A body over 1 MiB makes curl send Expect: 100-continue; -T - sends it chunked."""
    url = serve_on(echo, max_request_body=0).url
    data = DATA * 8
    seen = json.loads(curl(url, "--data-binary", "@-", "-H", "Expect: 100-continue", data=data))
    assert ["expect", "100-continue"] in seen["headers"]
    assert seen["sha256"] == digest(data)
    seen = json.loads(curl(url, "-T", "-", "-X", "POST", data=data))
    assert ["transfer-encoding", "chunked"] in seen["headers"]
    assert seen["sha256"] == digest(data)


def test_curl_keeps_its_connection(serve, curl):
    url = serve(echo).url
    out = curl("--write-out", "%{num_connects}\n", "--output", "/dev/null", url, "--next", "--silent",
               "--noproxy", "*", "--write-out", "%{num_connects}\n", "--output", "/dev/null", url)  # fmt: skip
    assert out == b"1\n0\n"


def test_curl_over_a_unix_socket(serve, curl, tmp_path):
    path = str(tmp_path / "socket")

    async def app(scope, receive, send):
        assert scope["client"] is None
        await echo({**scope, "client": ()}, receive, send)

    serve(app, uds_path=path, lifespan="off")
    assert json.loads(curl("--unix-socket", path, "http://test/a"))["path"] == "/a"


def test_curl_upload_over_the_cap(serve, curl):
    url = serve(echo, max_request_body="1MiB").url
    code = curl(url, "--data-binary", "@-", "--output", "/dev/null", "--write-out", "%{http_code}", data=DATA * 8)
    assert code == b"413"
