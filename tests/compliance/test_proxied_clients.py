"""Behind nginx and HAProxy the app sees the client, by fields or by the PROXY protocol, whatever the client forges."""

import ast
import contextlib
import socket

import pytest

import programs
from harness import HANG

CLIENT = "127.0.0.9"  # neither the proxy's address nor one that is believed
FORGED = (
    "X-Forwarded-For: 6.6.6.6, 127.0.0.1",
    "X-Real-IP: 6.6.6.6",
    'Forwarded: for=6.6.6.6;proto=https;host=evil.example, for="',
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Ssl: on",
)
DEPLOYED = programs.HERE.parent.parent / "deploy" / "nginx.conf"
BY_FIELDS = """option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request del-header X-Forwarded-Host
    http-request del-header X-Forwarded-Port"""


def nginx_deployed(folder, upstream):
    port = programs.unused_port()
    site = (
        DEPLOYED.read_text()
        .replace("unix:/run/saltare.sock", upstream)
        .replace("listen 80;", f"listen 127.0.0.1:{port};")
    )
    config, _ = programs.configured("nginx-deployed.conf", folder, site=site)
    return programs.program(["nginx", "-p", folder, "-e", "stderr", "-c", config], port, folder)


def nginx_stream(folder, upstream):
    config, port = programs.configured("nginx-stream.conf", folder, upstream=upstream)
    return programs.program(["nginx", "-p", folder, "-e", "stderr", "-c", config], port, folder)


def haproxy(mode, rules="", send=""):
    def start(folder, upstream):
        upstream = f"{upstream.replace('unix:', 'unix@')} {send}"
        config, port = programs.configured("haproxy-client.cfg", folder, mode=mode, rules=rules, upstream=upstream)
        return programs.program(["haproxy", "-db", "-f", config], port, folder)

    return start


FIELDS = {"nginx": nginx_deployed, "haproxy": haproxy("http", BY_FIELDS)}
HEADERS = {
    "nginx": nginx_stream,
    "haproxy-v1": haproxy("tcp", send="send-proxy"),
    "haproxy-v2": haproxy("tcp", send="send-proxy-v2"),
    "haproxy-v2-tlvs": haproxy("tcp", send="send-proxy-v2 proxy-v2-options unique-id,crc32c"),
}


@pytest.fixture(params=["tcp", "unix"])
def started(request, cli_server, tmp_path):
    """Starts a server, and a proxy in front of it; returns both ports."""
    with contextlib.ExitStack() as stack:

        def start(proxy, *options):
            if request.param == "unix":
                server = cli_server("proxied_app:app", "--uds", tmp_path / "saltare.sock", *options)
                address = server.url
            else:
                server = cli_server("proxied_app:app", *options)
                address = f"127.0.0.1:{server.port}"
            return server, stack.enter_context(proxy(tmp_path / "proxy", address))

        yield start


def seen(port, *fields):
    """What the app saw of three requests, one after the other, and the client's own address."""
    with socket.socket() as client:
        client.settimeout(HANG)
        client.bind((CLIENT, 0))
        client.connect(("127.0.0.1", port))
        own, told = client.getsockname(), []
        with client.makefile("rb") as answer:
            for _ in range(3):
                client.sendall("\r\n".join(["GET / HTTP/1.1", "Host: shop.example", *fields, "", ""]).encode())
                assert b" 200 " in answer.readline()
                lines = list(iter(answer.readline, b"\r\n"))
                length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
                told.append(ast.literal_eval(answer.read(length).decode()))
    assert told[0] == told[1] == told[2]
    return told[0], own


@pytest.mark.parametrize("proxy", FIELDS)
def test_fields(proxy, started):
    server, port = started(FIELDS[proxy])
    for fields in ((), FORGED):
        told, _ = seen(port, *fields)
        assert (told["client"], told["scheme"], told["root_path"]) == ((CLIENT, 0), "http", "")
        if proxy == "nginx":
            assert told["server"] == ("shop.example", port)
    assert len(server.logs().splitlines()) == 1, server.logs()


@pytest.mark.parametrize("proxy", HEADERS)
def test_proxy_protocol(proxy, started):
    server, port = started(HEADERS[proxy], "--proxy-protocol")
    for fields in ((), FORGED):
        told, own = seen(port, *fields)
        assert told == {"client": own, "scheme": "http", "server": ("127.0.0.1", port), "root_path": ""}
    assert len(server.logs().splitlines()) == 1, server.logs()


def test_fields_behind_the_proxy_protocol(started):
    """The client in the header is a proxy itself."""
    _, port = started(HEADERS["haproxy-v2"], "--proxy-protocol", "--forwarded-allow-ips", f"{CLIENT},10.0.0.0/8")
    told, _ = seen(port, "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1", "X-Forwarded-Proto: https")
    assert (told["client"], told["scheme"]) == (("192.0.2.1", 0), "https")


def test_a_proxy_that_is_not_believed(started):
    server, port = started(HEADERS["haproxy-v1"], "--proxy-protocol", "--proxy-protocol-from", "10.0.0.1")
    with pytest.raises((AssertionError, OSError)):
        seen(port)
    server.wait_for_log("was closed: it is not in proxy_protocol_from (--proxy-protocol-from)")


def statuses(port, source, n, *fields):
    """Of n requests of a client at that address, each on a connection of its own to the proxy."""
    for _ in range(n):
        with socket.socket() as client:
            client.settimeout(HANG)
            client.bind((source, 0))
            client.connect(("127.0.0.1", port))
            client.sendall("\r\n".join(["GET / HTTP/1.1", "Host: shop.example", *fields, "", ""]).encode())
            with client.makefile("rb") as answer:
                yield int((answer.readline().split() or [0, 0])[1])


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        *(pytest.param(proxy, [], id=f"{name} by fields") for name, proxy in FIELDS.items()),
        *(pytest.param(proxy, ["--proxy-protocol"], id=f"{name} by header") for name, proxy in HEADERS.items()),
    ],
)
def test_limits_by_the_clients_address(proxy, options, started):
    """Each client has its own, whatever it forges; the proxy, which sends all of them, has none."""
    limits = ["--rate-limit-per-sec", "1", "--rate-limit-burst", "3", "--max-connections-per-ip", "3"]
    _, port = started(proxy, *options, *limits)
    for i in range(10, 20):
        assert list(statuses(port, f"127.0.0.{i}", 3)) == [200] * 3
    assert 429 in statuses(port, "127.0.0.20", 20, *FORGED)
    assert list(statuses(port, "127.0.0.21", 3)) == [200] * 3
