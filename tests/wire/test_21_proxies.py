"""Who the client is behind a proxy: the fields of a request, and the PROXY protocol in front of a connection."""

import ast
import os
import shutil
import socket
import struct
import subprocess

import pytest

import saltare
from rawsocket import Raw
from saltare.errors import ConfigError
from wire_apps import QUIET, where_from

FORWARDED = (
    "X-Forwarded-For: 6.6.6.6, 192.0.2.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 8443",
    "X-Forwarded-Prefix: /shop",
)
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 443\r\n"
ADDRESSES = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.7") + struct.pack("!HH", 4711, 443)


def v2(command=0x21, family=0x11, content=ADDRESSES):
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, len(content)) + content


def seen(server, *fields, before=b"", target="/"):
    """What the app saw, and the client's own address."""
    raw = Raw(server)
    try:
        told = ast.literal_eval(raw.send(before).get(target, *fields).read_response().body.decode())
        return told, raw.socket.getsockname()
    finally:
        raw.close()


def test_a_proxy_on_this_machine_is_believed(serve_by):
    server = serve_by(where_from, **QUIET)
    told, own = seen(server)
    port = server.port
    assert told == {"client": own, "scheme": "http", "server": ("127.0.0.1", port), "root_path": "", "path": "/"}
    told, _ = seen(server, *FORWARDED, target="/a%20b")
    assert told == {
        "client": ("192.0.2.1", 0),
        "scheme": "https",
        "server": ("shop.example", 8443),
        "root_path": "",
        "path": "/a b",
    }
    assert seen(server, "X-Forwarded-Port: 8443")[0]["server"] == ("127.0.0.1", 8443)
    assert seen(server, 'Forwarded: for="[2001:DB8::1]:5";proto=https')[0]["client"] == ("2001:db8::1", 5)
    assert seen(server, "X-Real-IP: ::ffff:192.0.2.9")[0]["client"] == ("192.0.2.9", 0)


NOT_BELIEVED = [{"proxy_headers": False}, {"forwarded_allow_ips": "10.0.0.0/8,unix:"}, {"proxy_fields": ()}]


@pytest.mark.parametrize("options", NOT_BELIEVED)
def test_fields_that_are_not_believed_change_nothing(serve, options):
    server = serve(where_from, **QUIET, **options)
    plain, _ = seen(server)
    told, own = seen(server, *FORWARDED)
    assert told == {**plain, "client": own}


def test_an_address_that_is_not_believed_beside_one_that_is(serve):
    server = serve(where_from, **QUIET, host="0.0.0.0", forwarded_allow_ips=["127.0.0.2"])
    for source, client in (("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "192.0.2.1")):
        with socket.socket() as peer:
            peer.bind((source, 0))
            peer.connect(("127.0.0.1", server.port))
            peer.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
            told = peer.makefile("rb").read().partition(b"\r\n\r\n")[2]
        assert ast.literal_eval(told.decode())["client"][0] == client


def test_the_first_field_that_is_believed_counts(serve):
    fields = "Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.8", "X-Real-IP: 192.0.2.9"
    for given, client in (
        ({}, "192.0.2.8"),
        ({"proxy_fields": "Forwarded"}, "192.0.2.7"),
        ({"proxy_fields": ["X-Real-IP", "forwarded"]}, "192.0.2.9"),
    ):
        assert seen(serve(where_from, **QUIET, **given), *fields)[0]["client"] == (client, 0)


def test_a_prefix_is_the_root_path_where_it_is_believed(serve):
    names = ["x-forwarded-for", "x-forwarded-prefix"]
    server = serve(where_from, **QUIET, root_path="/old", proxy_fields=names)
    told, _ = seen(server, *FORWARDED, target="/item")
    assert (told["root_path"], told["path"], told["scheme"]) == ("/shop", "/shop/item", "http")
    told, _ = seen(server, "X-Forwarded-Prefix: //evil.example", target="/item")
    assert (told["root_path"], told["path"]) == ("/old", "/old/item")


def test_fields_that_mean_https(serve):
    for off in ({"proxy_headers": False}, {"forwarded_allow_ips": "10.0.0.1"}):
        server = serve(where_from, **QUIET, secure_scheme_headers=["X-Forwarded-Ssl: on"], **off)
        assert seen(server, "X-Forwarded-Ssl: on")[0]["scheme"] == "http"
    server = serve(where_from, **QUIET, secure_scheme_headers=["X-Forwarded-Ssl: on"])
    assert seen(server, "X-Forwarded-Ssl: on")[0]["scheme"] == "https"
    assert seen(server, "X-Forwarded-Ssl: off")[0]["scheme"] == "http"


def test_a_proxy_on_a_unix_socket(serve, tmp_path):
    path = str(tmp_path / "socket")
    server = serve(where_from, **QUIET, uds_path=path)
    assert seen(server)[0]["client"] is None
    told, _ = seen(server, "X-Forwarded-For: 192.0.2.1:4711, unix:", "X-Forwarded-Port: 8443")
    assert told["client"] == ("192.0.2.1", 4711)
    assert told["server"] == (path, None)
    other = serve(where_from, **QUIET, uds_path=str(tmp_path / "other"), forwarded_allow_ips="127.0.0.1")
    assert seen(other, *FORWARDED)[0]["client"] is None


def test_a_websocket_behind_a_proxy(serve_by, meet):
    server = serve_by(where_from, **QUIET)
    for proto, scheme in (("https", "wss"), ("wss", "wss"), ("http", "ws")):
        peer = meet(server, "/", "X-Forwarded-For: 192.0.2.1", f"X-Forwarded-Proto: {proto}")
        told = ast.literal_eval(peer.read_frame()[1].decode())
        assert (told["client"], told["scheme"]) == (("192.0.2.1", 0), scheme)


def test_the_variable(serve, monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    assert seen(serve(where_from, **QUIET), *FORWARDED)[0]["scheme"] == "http"
    assert seen(serve(where_from, **QUIET, forwarded_allow_ips="*"), *FORWARDED)[0]["client"] == ("6.6.6.6", 0)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    assert seen(serve(where_from, **QUIET), *FORWARDED)[0]["scheme"] == "http"


# --- the PROXY protocol


def test_the_proxy_protocol(serve_by):
    server = serve_by(where_from, **QUIET, proxy_protocol=True)
    for header in (V1, v2(), v2(content=ADDRESSES + b"\x04\0\x02ab")):
        told, _ = seen(server, before=header)
        assert (told["client"], told["server"]) == (("192.0.2.1", 4711), ("198.51.100.7", 443))
    six = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 1, 2)
    assert seen(server, before=v2(family=0x21, content=six))[0]["client"] == ("2001:db8::1", 1)
    assert seen(server, before=v2(family=0x31, content=bytes(216)))[0]["client"] is None
    for header in (b"PROXY UNKNOWN\r\n", v2(0x20, 0, b""), v2(0x21, 0, b"")):
        told, own = seen(server, before=header)
        assert (told["client"], told["server"]) == (own, ("127.0.0.1", server.port))


def test_fields_are_believed_of_the_client_in_the_header_only(serve):
    server = serve(where_from, **QUIET, proxy_protocol="on")
    told, _ = seen(server, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", before=V1)
    assert (told["client"], told["scheme"]) == (("192.0.2.1", 4711), "http")
    server = serve(where_from, **QUIET, proxy_protocol="on", forwarded_allow_ips="192.0.2.0/24")
    assert seen(server, "X-Forwarded-For: 192.0.2.1, 198.51.100.1", before=V1)[0]["client"] == ("198.51.100.1", 0)


@pytest.mark.parametrize(
    ("sent", "options", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", {"proxy_protocol": "on"}, "no PROXY header"),
        (V1, {"proxy_protocol": "v2"}, "no PROXY header"),
        (v2(), {"proxy_protocol": "v1"}, "no PROXY header"),
        (b"PROXY TCP4 1.2.3.4\r\n", {"proxy_protocol": "on"}, "malformed PROXY line"),
        (V1, {"proxy_protocol": "on", "proxy_protocol_from": ["10.0.0.0/8"]}, "not in proxy_protocol_from"),
    ],
)
def test_connections_that_are_closed(serve, sent, options, why):
    server = serve(where_from, **QUIET, **options)
    for _ in range(2):
        raw = Raw(server).send(sent)
        try:
            assert raw.read_all() == b""
        except ConnectionResetError:
            pass
        finally:
            raw.close()
    server.wait_for_log(why)
    assert server.logs().count("a connection from 127.0.0.1:") == 1


def test_without_the_option_a_header_is_a_bad_request(serve):
    raw = Raw(serve(where_from, **QUIET)).send(V1 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert raw.read_response().status in (400, 505)
    raw.close()


def test_a_header_over_a_unix_socket(serve, tmp_path):
    path = str(tmp_path / "socket")
    server = serve(where_from, **QUIET, uds_path=path, proxy_protocol=True)
    assert seen(server, before=v2())[0]["client"] == ("192.0.2.1", 4711)
    assert seen(server, before=v2(0x20, 0, b""))[0]["client"] is None


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_curl(serve, host):
    try:
        server = serve(where_from, **QUIET, proxy_protocol=True, host=host)
    except saltare.errors.StartError:
        pytest.skip("this machine has no IPv6 loopback")
    command = ["curl", "--silent", "--max-time", "20", "--noproxy", "*", "--haproxy-protocol", server.url]
    own = {
        name: value for name, value in os.environ.items() if name != "LD_PRELOAD"
    }  # AddressSanitizer is not for curl
    done = subprocess.run([*command, server.url + "/again"], capture_output=True, text=True, check=True, env=own)
    first, again = (ast.literal_eval("{" + text) for text in done.stdout.split("{")[1:])
    assert first["client"] == again["client"]  # one connection
    assert first["client"][0] == host
    assert first["server"] == (host, server.port)


# --- the command line, and bad values


def test_the_command_line(cli_server):
    server = cli_server("wire_apps:where_from", "--forwarded-allow-ips", "10.0.0.0/8,127.0.0.0/8", "--proxy-headers")
    assert seen(server, *FORWARDED)[0]["client"] == ("192.0.2.1", 0)
    server = cli_server("wire_apps:where_from", "--no-proxy-headers", "--proxy-protocol", "--workers", "2")
    assert seen(server, *FORWARDED, before=V1)[0]["client"] == ("192.0.2.1", 4711)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"forwarded_allow_ips": "10.0.0.1/8"},
            "forwarded_allow_ips: got '10.0.0.1/8' (write 10.0.0.0/8, or 10.0.0.1 for this address alone); accepted: an address",
        ),
        (
            {"forwarded_allow_ips": ["300.1.1.1"]},
            "forwarded_allow_ips: got ['300.1.1.1'] (it is no address); accepted:",
        ),
        (
            {"forwarded_allow_ips": "10.0.0.0/33"},
            "forwarded_allow_ips: got '10.0.0.0/33' (after the slash stands the number",
        ),
        ({"forwarded_allow_ips": "::1%lo"}, "forwarded_allow_ips: got '::1%lo' (it is no address); accepted:"),
        ({"forwarded_allow_ips": ["a b"]}, "forwarded_allow_ips: got ['a b']; accepted:"),
        ({"proxy_protocol_from": ["caf\xe9"]}, "proxy_protocol_from: got ['caf\xe9']; accepted:"),
        ({"proxy_fields": "via"}, "proxy_fields: got 'via' (unknown field 'via'); accepted: x-forwarded-for,"),
        ({"proxy_fields": 5}, "proxy_fields: got 5; accepted: x-forwarded-for,"),
        ({"proxy_protocol": "v3"}, "proxy_protocol: got 'v3'; accepted: true or false, or v1 or v2 for one version"),
        (
            {"secure_scheme_headers": ["a b: c"]},
            "secure_scheme_headers: got ['a b: c'] (the name is not a token (RFC 9110",
        ),
        ({"secure_scheme_headers": {"a": 1}}, "secure_scheme_headers: got {'a': 1}; accepted:"),
    ],
)
def test_values_that_are_refused(options, problem):
    with pytest.raises(ConfigError) as caught:
        saltare.run(where_from, **options)
    (line,) = caught.value.problems
    assert line.startswith(problem)


def test_values_as_they_are_kept(monkeypatch):
    given = {
        "forwarded_allow_ips": "10.0.0.0/8, 2001:DB8::/32,[::1],unix:/run/a,/run/b,nginx,*",
        "proxy_fields": "X-Real-IP",
    }
    config = saltare.Config(where_from, log_config=None, secure_scheme_headers={"X-SSL": "on"}, **given).options()
    assert config.forwarded_allow_ips == ("10.0.0.0/8", "2001:db8::/32", "::1", "unix:/run/a", "/run/b", "nginx", "*")
    assert (config.proxy_fields, config.secure_scheme_headers) == (("x-real-ip",), ("x-ssl: on",))
