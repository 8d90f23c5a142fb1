"""WebSockets behind nginx and HAProxy, and from a page in a browser."""

import asyncio
import json
import os
import subprocess

import pytest
import websockets

import programs
from harness import HANG

PROXIES = {"nginx": programs.nginx_proxy, "haproxy": programs.haproxy}
EXAMPLE = programs.HERE.parent.parent / "examples" / "hello"


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, HANG))


@pytest.mark.parametrize("proxy", PROXIES)
def test_behind(proxy, cli_server, tmp_path):
    server = cli_server("autobahn_app:app", "--lifespan", "off", "--ws-max-size", "4MiB", "--ws-per-message-deflate")

    async def one(port, number):
        url = f"ws://127.0.0.1:{port}/socket/{number}"
        async with websockets.connect(url, max_size=None, compression="deflate" if number % 2 else None) as client:
            for message in (f"{number}", b"\0" * 70_000, "é" * 500_000, ""):
                await client.send(message)
                assert await client.recv() == message
            await (await client.ping())
        assert client.close_code == 1000

    async def all_of_them(port):
        await asyncio.gather(*(one(port, number) for number in range(20)))

    with PROXIES[proxy](tmp_path / proxy, f"127.0.0.1:{server.port}") as port:
        run(all_of_them(port))
    assert len(server.logs().splitlines()) == 1, server.logs()


def test_a_browser(cli_server, tmp_path):
    """Chromium opens the example's chat, sends a message, and leaves."""
    server = cli_server("main:app", cwd=EXAMPLE)
    page = f"{server.url}/chat?name=browser&say=h%C3%A9llo"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", page]

    async def talk():
        async with websockets.connect(server.url.replace("http", "ws") + "/talk") as client:
            with open(tmp_path / "output", "wb") as output:
                browser = subprocess.Popen(
                    command, stdout=output, stderr=output, env={**os.environ, "HOME": str(tmp_path)}
                )
            try:
                return json.loads(await client.recv())
            finally:
                browser.terminate()
                browser.wait(HANG)

    assert run(talk()) == {"name": "browser", "text": "héllo"}
