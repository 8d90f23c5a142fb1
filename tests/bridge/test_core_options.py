"""Options of the core: each is a row of the options table and a setter in Go, connected by names and values."""

import gc

import pytest

from bare import SCOPE, new_core
from saltare._core import live, options
from saltare.options.answer_values import OwnPath
from saltare.options.log_values import LogFile, LogFormat
from saltare.options.net_values import RequestIdHeader, ServerHeader
from saltare.options.sources import load
from saltare.options.table import BY_NAME
from saltare.options.values import Flag, Integer, Seconds, Several, Size
from saltare.serve.core import core_options

# Set by the process, not by users.
OWN = {
    "addresses",
    "admin_listeners",
    "counters",
    "debug",
    "end_streams",
    "guest",
    "number",
    "proxy_versions",
    "retire_requests",
    "retire_rss",
    "slot",
    "hsts",  # made of several options of users
    # Of the full core, from several options of users.
    *("tls_authorities", "tls_certificates", "tls_ciphers", "tls_keys", "tls_min_version", "tls_password"),
    *("tls_required", "tls_tickets"),
}


def test_each_option_is_a_row_of_the_table_or_the_servers_own():
    assert OWN <= options().keys()
    for name, unit in options().items():
        if name not in OWN:
            assert name == BY_NAME[name].name
            kinds = {
                "ms": Seconds,
                "text": (ServerHeader, Several, LogFile, LogFormat, OwnPath, RequestIdHeader),
                "": (Flag, Integer, Size),
            }
            assert isinstance(BY_NAME[name].kind, kinds[unit]), name


def test_a_core_is_opened_with_the_default_of_each_option():
    given = core_options(load("nothing:app", {}), guest=False)
    assert given.keys() == options().keys() - OWN | {
        "admin_listeners",
        "guest",
        "debug",
        "end_streams",
        "proxy_versions",
        "hsts",
    }
    assert given["header_timeout"] == load("nothing:app", {}).header_timeout * 1000
    new_core(**given).close()


def test_what_is_for_an_admin_address_is_answered_nowhere_else():
    config = load("nothing:app", {"admin_bind": "127.0.0.1:0", "health_path": "/health", "metrics_path": "/metrics"})
    config.status_path = "/status"
    there, nowhere = core_options(config, guest=False, admin_listeners=1), core_options(config, guest=False)
    assert (there["health_path"], there["metrics_path"]) == (b"/health", b"/metrics")
    assert nowhere["health_path"] == nowhere["metrics_path"] == nowhere["status_path"] == b""


TEXTS = {name for name, unit in options().items() if unit == "text"}


@pytest.mark.parametrize("name", sorted(options().keys() - TEXTS))
def test_a_value_that_is_refused_is_named_with_what_is_accepted(name):
    for value in ("1", 1.0, None, b"1"):
        with pytest.raises(TypeError, match=f"option {name} must be an int, not {type(value).__name__}"):
            new_core(**{name: value})
    for value in (-1, 1 << 64, -(1 << 99)):
        with pytest.raises(OverflowError, match=f"option {name} must be from 0 to [0-9]+, not {value}$"):
            new_core(**{name: value})
    assert not any(live().values())


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_text_is_bytes(name):
    for value in ("x: 1\r\n", 1, None, bytearray(b"x")):
        with pytest.raises(TypeError, match=f"option {name} must be bytes, not {type(value).__name__}"):
            new_core(**{name: value})
    new_core(**{name: b""}).close()
    assert not any(live().values())


def test_texts_outlive_the_dict_that_had_them():
    """A key that is compared with the names of options may change the dict."""

    class Forgetful(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            given.clear()
            gc.collect()
            return str.__eq__(self, other)

    given = {"server_header": bytes(bytearray(b"s" * 5000)), "header": b"x-a: 1\r\n", Forgetful("retire_rss"): 0}
    from saltare._core import Core

    Core(options=given, scope=SCOPE, root_path="").close()
    assert given == {}
    assert not any(live().values())


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("header_timeout", (1 << 32) - 1),
        ("max_request_line", 64 << 10),
        ("max_request_head", 1 << 20),
        ("max_request_fields", 4096),
        ("max_request_body", (1 << 64) - 1),
        ("date_header", 1),
    ],
)
def test_the_largest_value(name, most):
    new_core(**{name: most}).close()
    with pytest.raises(OverflowError, match=f"option {name} must be from 0 to {most}, not {most + 1}$"):
        new_core(**{name: most + 1})


class Name(str):
    """Equal to no other."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@pytest.mark.parametrize("name", ["header_timeouts", "", "header_timeout\0", "\udc80", 3, None, Name("header_timeout")])
def test_an_option_that_there_is_not(name):
    from saltare._core import Core

    with pytest.raises(TypeError, match=r"^Core has no option .*; saltare\._core\.options\(\) has their names$"):
        Core(options={name: 1}, scope={}, root_path="")
    assert not any(live().values())


def test_as_many_options_as_there_are_and_more():
    every = {name: b"" if unit == "text" else 0 for name, unit in options().items()}
    new_core(**every).close()
    with pytest.raises(TypeError, match="has no option"):
        new_core(**every, **{f"more_{n}": 0 for n in range(100)})
