"""Options of the access log: their values, what turns it on, and fields that Python and the core know alike."""

import os
import re
from pathlib import Path

import pytest
from bare_core import opened

from saltare.options.log_atoms import ATOMS
from saltare.options.log_values import FIELDS, FORMATS, LogFile, LogFormat, RequestPath
from saltare.options.values import Refused
from saltare.process.log_file import STREAMS

ACCESSLOG = Path(__file__).parents[2] / "gocore/internal/accesslog"


def test_python_and_the_core_have_the_same_fields():
    source = (ACCESSLOG / "field.go").read_text()
    assert tuple(re.findall(r'^\t\{name: "(\w+)"', source, re.MULTILINE)) == FIELDS


def test_python_and_the_core_have_the_same_streams():
    assert set(
        re.findall(r'^\t(?:stdout|stderr) = "(\w+)"$', (ACCESSLOG / "file.go").read_text(), re.MULTILINE)
    ) == set(STREAMS)


GOOD = [
    *FORMATS,
    *(f"{{{name}}}" for name in FIELDS),
    *ATOMS.values(),
    "json:time, status,header:x",
    "plain",
    "{{}}",
    "{{{client}}}",
    '{{"a":"{path}"}}',
    "{header:X-Own}",
    "}}{{",
]
BAD = [
    "{",
    "}",
    "{client",
    "client}",
    "{}",
    "{nothing}",
    "{client}}",
    "{{client}",
    "json:",
    "json:client,",
    "json:nothing",
    "{header:}",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_format_that_both_accept(text):
    assert LogFormat().read(text) == text
    opened(text).close()


@pytest.mark.parametrize("text", BAD)
def test_a_format_that_both_refuse(text):
    with pytest.raises(Refused):
        LogFormat().read(text)
    with pytest.raises(OSError, match="Invalid argument"):
        opened(text)


def test_the_longest_formats():
    for text in ("{duration_us}" * 40, "json:" + ",".join(["first_byte_us"] * 40), "{time}" * 40 + "x" * 784):
        assert LogFormat().read(text) == text
        opened(text).close()
    for text in ("x" * 1025, "{pid}" * 41):
        with pytest.raises(Refused, match="it is longer than 1024 characters or 40 fields"):
            LogFormat().read(text)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',  # gunicorn's default
            '{client} - - [{time_clf}] "{method} {path} {protocol}" {status} {bytes} "{referer}" "{user_agent}"',
        ),
        (
            '%(h)s %(l)s %(l)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"',  # hypercorn's
            '{client} - - [{time_clf}] "{method} {path} {protocol}" {status} {bytes} "{referer}" "{user_agent}"',
        ),
        (
            '[%(time)s] %(addr)s - "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).3f',  # granian's
            '[{time}] {client} - "{method} {path_only} {protocol}" {status} {duration_ms}',
        ),
        (
            '{"ip":"%(h)s","id":"%({X-Request-Id}i)s","100%%":%(D)s}',
            '{{"ip":"{client}","id":"{header:x-request-id}","100%":{duration_us}}}',
        ),
    ],
)
def test_formats_of_other_servers(theirs, ours):
    assert LogFormat().read(theirs) == ours
    opened(ours).close()


@pytest.mark.parametrize("atom", ["%({x}o)s", "%({x}e)s", "%(T)s", "%(S)s", "%(scheme)s", "%(xyz)s", "%({x y}i)s"])
def test_atoms_without_a_field_are_named(atom):
    with pytest.raises(Refused, match=re.escape(atom.removesuffix("s")) if "x y" not in atom else "x y"):
        LogFormat().read(f"%(h)s {atom}")


def test_files():
    read = LogFile().read
    assert [read(one) for one in ("-", "stdout", "stderr")] == ["stdout", "stdout", "stderr"]
    assert read("log") == os.path.abspath("log")
    assert read("./stdout") == os.path.abspath("stdout")
    assert read(Path("/x/../log")) == "/log"
    for bad in ("", None, 5, "a\0b"):
        with pytest.raises(Refused):
            read(bad)


def test_paths_to_leave_out():
    read = RequestPath().read
    assert read("/health") == "/health" and read("/static/*") == "/static/*"
    for bad in ("", "health", "*", "/a?b", "/a\n", None):
        with pytest.raises(Refused):
            read(bad)


@pytest.mark.parametrize(
    ("given", "on"),
    [
        ({}, False),
        ({"access_log": True}, True),
        ({"access_log_path": "/x"}, True),
        ({"access_log_path": "stderr"}, True),
        ({"access_log_path": "/x", "access_log": False}, False),
        ({"access_log_format": "combined"}, False),
        ({"accesslog": "-"}, True),
        ({"accesslog": ""}, False),
        ({"accesslog": None}, False),
        ({"log_access": True}, True),
    ],
)
def test_what_turns_it_on(load, given, on):
    assert load(given).access_log is on


def test_a_path_does_not_outrank_an_explicit_switch_of_another_source(load):
    assert load({"access_log": False}, {"SALTARE_ACCESS_LOG_PATH": "/x"}).access_log is False
    assert load({"access_log_path": "/x"}, {"SALTARE_ACCESS_LOG": "no"}).access_log is False


def test_what_has_no_effect_is_told(load):
    assert len(load({"access_log_format": "combined", "access_log_exclude": "/a,/b"}).warnings) == 2
    assert load({"access_log_format": "combined", "access_log": True}).warnings == ()
    assert load({"access_log_exclude": "/a,/b", "access_log": True}).access_log_exclude == ("/a", "/b")


def test_colours_are_accepted(load):
    assert load({"access_log": True, "use_colors": True}).access_log is True
