"""Cases: connections, servers, datagrams and pipes that the app opens."""

import asyncio
import os
import socket
import tempfile

from cases import case

# --- sockets


@case
async def open_connection(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"ping\n" * 50_000)
    await writer.drain()
    writer.write_eof()
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return len(data)


@case
async def refused_connection(port):
    try:
        await asyncio.open_connection("127.0.0.1", int(port))
    except ConnectionRefusedError:
        return "refused"


@case
async def start_server():
    async def shout(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def talk(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"line %d\n" % number)
        line = await reader.readline()
        writer.close()
        return line.decode()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.gather(*(talk(port, number) for number in range(20)))


@case
async def unix_server():
    path = f"{tempfile.mkdtemp()}/socket"

    async def reply(reader, writer):
        writer.write((await reader.readline())[::-1])
        writer.close()

    async with await asyncio.start_unix_server(reply, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"abc\n")
        data = await reader.read()
        writer.close()
        return data.decode()


@case
async def datagrams():
    loop = asyncio.get_running_loop()
    got = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            got.set_result(data.decode())

    receiver, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    address = receiver.get_extra_info("sockname")
    sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    sender.sendto(b"datagram")
    result = await asyncio.wait_for(got, 10)
    sender.close()
    receiver.close()
    return result


@case
async def sock_calls():
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    data = b"x" * 2_000_000
    sending = asyncio.ensure_future(loop.sock_sendall(left, data))
    size = 0
    while size < len(data):
        size += len(await loop.sock_recv(right, 65536))
    await sending
    left.close()
    right.close()
    return size


@case
async def readers_and_writers_of_pipes():
    """add_reader, add_writer, replacing and removing them, and a reused descriptor."""
    loop = asyncio.get_running_loop()
    seen = []
    for number in range(5):
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        got, writable = loop.create_future(), loop.create_future()
        loop.add_reader(read_end, lambda: None)
        loop.add_reader(read_end, lambda: got.done() or got.set_result(os.read(read_end, 100).decode()))  # noqa: B023
        loop.add_writer(write_end, lambda: writable.done() or writable.set_result(None))  # noqa: B023
        await asyncio.wait_for(writable, 10)
        loop.remove_writer(write_end)
        os.write(write_end, b"%d" % number)
        seen.append(await asyncio.wait_for(got, 10))
        loop.remove_reader(read_end)
        assert not loop.remove_reader(read_end)
        os.close(read_end)
        os.close(write_end)
    return seen


@case
async def pipe_transports():
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write_end, "wb"))
    transport.write(b"through a pipe")
    transport.close()
    return (await reader.read()).decode()


@case
async def resolve():
    infos = await asyncio.get_running_loop().getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    return bool(infos)
