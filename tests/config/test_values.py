"""Each kind of value: how it converts text and Python objects, and what it rejects."""

from pathlib import PurePosixPath

import pytest

from saltare.options.net_values import Address, Header, Host, ServerHeader, address
from saltare.options.values import (
    App,
    Choice,
    Flag,
    Integer,
    LogConfig,
    LogLevel,
    Loop,
    Octal,
    Path,
    Refused,
    RootPath,
    Seconds,
    Several,
    Size,
    Target,
    Text,
)

PORTS = Integer(0, 65535)
SIZES = Size(0, 1 << 50)
TIMES = Seconds(86400)
LISTS = Several(Address(), ",", "commas")


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (PORTS, "8000", 8000),
        (PORTS, " 80 ", 80),
        (PORTS, 0, 0),
        (PORTS, 65535, 65535),
        (SIZES, "64KiB", 65536),
        (SIZES, "10MB", 10_000_000),
        (SIZES, "1.5MiB", 1_572_864),
        (SIZES, "2gib", 2 << 30),
        (SIZES, "7B", 7),
        (SIZES, "123", 123),
        (SIZES, 5, 5),
        (TIMES, "5", 5.0),
        (TIMES, "0.25", 0.25),
        (TIMES, "500ms", 0.5),
        (TIMES, "1m30s", 90.0),
        (TIMES, "2h", 7200.0),
        (TIMES, "1d", 86400.0),
        (TIMES, 0, 0.0),
        (TIMES, 0.001, 0.001),
        (Octal(0o777), "660", 0o660),
        (Octal(0o777), "0o600", 0o600),
        (Octal(0o777), 0o640, 0o640),
        (Flag(), "yes", True),
        (Flag(), "OFF", False),
        (Flag(), "0", False),
        (Flag(), True, True),
        (Choice("info", "debug"), "INFO", "info"),
        *((LogLevel(), given, "warning") for given in ("warning", "WARN", 30, "30")),
        *((LogLevel(), given, "debug") for given in ("trace", 5, 10, "notset")),
        (LogLevel(), "fatal", "critical"),
        (Loop("auto"), "none", "auto"),
        (App(), "main:make()", "main:make()"),
        (Target("auto"), "auto", "auto"),
        (Target("auto"), "a.b:c.d", "a.b:c.d"),
        (RootPath(), "", ""),
        (RootPath(), "/api/v1", "/api/v1"),
        (RootPath(), "/api/", "/api"),
        (RootPath(), "/", ""),
        (Path(), PurePosixPath("/srv/app"), "/srv/app"),
        (LogConfig(), "log.conf", "log.conf"),
        (LogConfig(), {"version": 1}, {"version": 1}),
        (Text(), "Grüße", "Grüße"),
        (Host(), "[::1]", "::1"),
        (Host(), "fe80::1%lo", "fe80::1%lo"),
        (Host(), "localhost", "localhost"),
        (LISTS, "a:1, unix:/x", ("a:1", "unix:/x")),
        (LISTS, ["[::1]:0"], ("[::1]:0",)),
        (LISTS, [], ()),
        (LISTS, "", ()),
        (Header(), "X-Frame-Options:DENY ", "X-Frame-Options: DENY"),
        (Header(), ("a", "b"), "a: b"),
        (Header(), (b"a", b"\xe9"), "a: \xe9"),
        (Header(), "link: <a:b>; rel=x", "link: <a:b>; rel=x"),
        (Header(), "empty:", "empty: "),
        (ServerHeader("us/1"), True, "us/1"),
        (ServerHeader("us/1"), "off", ""),
        (ServerHeader("us/1"), False, ""),
        (ServerHeader("us/1"), "", ""),
        (ServerHeader("us/1"), "other", "other"),
    ],
)
def test_accepted(kind, given, value):
    read = kind.read(given)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *(
            (PORTS, given)
            for given in ("", "-1", "65536", "8_000", "80a", "٨", "1" * 5000, 65536, -1, 80.0, True, None)
        ),
        *((SIZES, given) for given in ("", "KiB", "10 MB", "1XB", "0.3B", "1.2.3MB", "1K1K", 1e6, -1, 1 << 51, True)),
        *((TIMES, given) for given in ("", "s", "1m30", "5x", "-1", "1..5s", "nan", "inf", "25h", 0.0005, -1, True)),
        *((TIMES, given) for given in (float("nan"), float("inf"), None, "1e3", "0.0001")),
        *((Octal(0o777), given) for given in ("", "888", "0x1f", "1000", 660, "-660", True)),
        *((Flag(), given) for given in ("", "maybe", 1, 0, None)),
        *((Choice("info"), given) for given in ("", "loud", 20, None)),
        *((LogLevel(), given) for given in ("", "loud", 21, True, None, 20.0)),
        *((App(), given) for given in ("main:make(5)", "main:make(")),
        *((Target("auto"), given) for given in ("", "main", ":app", "main:", "a:b:c", "a\n:b", 5)),
        *((RootPath(), given) for given in ("api", "api/", "/a?b", "/a#b", "/a\n", None)),
        *((Path(), given) for given in ("", "a\0b", 5, b"x", None)),
        *((Host(), given) for given in ("", "a b", "http://x", "127.0.0.1:80", "[::1]:80", "[]", None)),
        *((LISTS, given) for given in ("80", ["a:1", 5], 5, None, ["::1:80"])),
        *((Header(), given) for given in ("novalue", ": x", "a b: c", "a: b\r\nc: d", "a: \0", "a: \u20ac", 5)),
        *((Header(), given) for given in (("a",), ("a", 1), ("a ", "b"), (b"a", b"\n c"))),
        *((Header(), given) for given in ("Content-Length: 5", "connection: close", "Server: x", "DATE: x")),
        *((ServerHeader("s"), given) for given in ("a\nb", "\u20ac", 5, None)),
        (LogConfig(), 5),
    ],
)
def test_refused(kind, given):
    with pytest.raises(Refused):
        kind.read(given)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("127.0.0.1:80", ("tcp", "127.0.0.1", 80)),
        ("name:0", ("tcp", "name", 0)),
        ("[::1]:8080", ("tcp", "::1", 8080)),
        ("unix:/run/x.sock", ("unix", "/run/x.sock")),
        ("unix:relative:with:colons", ("unix", "relative:with:colons")),
        ("fd://3", ("fd", 3)),
        (":8000", ("tcp", "0.0.0.0", 8000)),
        ("localhost", ("tcp", "localhost", 8000)),
        ("[::1]", ("tcp", "::1", 8000)),
        ("tcp://a:1", ("tcp", "a", 1)),
        ("unix:///run/x", ("unix", "/run/x")),
    ],
)
def test_address(text, meaning):
    assert address(text) == meaning


@pytest.mark.parametrize("text", ["", "80", ":", "::1:80", "host:", "host:99999", "unix:", "fd://", "fd://x", "a b"])
def test_not_an_address(text):
    with pytest.raises(Refused):
        address(text)


def test_an_app_may_be_the_object_itself():
    async def app(scope, receive, send): ...

    assert App().read(app) is app
    with pytest.raises(Refused):
        App().read(42)
