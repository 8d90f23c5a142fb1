"""Imports the modules named as arguments, in this order, after ssl was deferred; then each kind of client uses TLS."""

import importlib
import sys

from saltare.memory import lazy_ssl

CLIENTS = ("asyncio", "http.client", "urllib.request", "httpx", "aiohttp")


def main(names):
    lazy_ssl.install()
    for name in names:
        importlib.import_module(name)
    import asyncio

    asyncio.run(speak())
    assert type(sys.modules["ssl"]) is type(sys), type(sys.modules["ssl"])
    assert type(sys.modules["asyncio.sslproto"]) is type(sys)
    print("spoken")


async def speak():
    import asyncio

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context(server=True))
    async with server:
        port = server.sockets[0].getsockname()[1]
        for client in CLIENTS:
            ask = globals()["ask_" + client.partition(".")[0]]
            body = await asyncio.wait_for(ask(port), 20)
            assert body == b"hello", (client, body)


def context(server=False):
    """Anonymous key exchange, so that the tests need no certificate."""
    import ssl

    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    result.check_hostname = False
    result.verify_mode = ssl.CERT_NONE
    result.maximum_version = ssl.TLSVersion.TLSv1_2
    result.set_ciphers("aNULL:@SECLEVEL=0")
    return result


async def ask_asyncio(port):
    import asyncio

    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context())
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2]


async def ask_http(port):
    import asyncio
    import http.client

    def ask():
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context())
        connection.request("GET", "/")
        return connection.getresponse().read()

    return await asyncio.to_thread(ask)


async def ask_urllib(port):
    import asyncio
    import urllib.request

    return await asyncio.to_thread(
        lambda: urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=context()).read()
    )


async def ask_httpx(port):
    import httpx

    async with httpx.AsyncClient(verify=context(), trust_env=False) as client:
        return (await client.get(f"https://127.0.0.1:{port}/")).content


async def ask_aiohttp(port):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(f"https://127.0.0.1:{port}/", ssl=context()) as answer:
        return await answer.read()


if __name__ == "__main__":
    main(sys.argv[1:])
