"""`saltare.logging`: uvicorn's formatters."""

import io
import logging
import sys

import pytest

import saltare

DefaultFormatter, AccessFormatter = saltare.logging.DefaultFormatter, saltare.logging.AccessFormatter
REQUEST = ("127.0.0.1:5", "GET", "/a?b", "1.1")


def record(message="hello", *args, level=logging.INFO, **more):
    one = logging.LogRecord("uvicorn.error", level, __file__, 1, message, args, None)
    vars(one).update(more)
    return one


@pytest.mark.parametrize(
    ("level", "plain", "coloured"),
    [
        (5, "TRACE:    hello", "\x1b[34mTRACE\x1b[0m:    hello"),
        (logging.INFO, "INFO:     hello", "\x1b[32mINFO\x1b[0m:     hello"),
        (logging.CRITICAL, "CRITICAL: hello", "\x1b[91mCRITICAL\x1b[0m: hello"),
        (25, "Level 25: hello", "Level 25: hello"),
    ],
)
def test_level_prefix(level, plain, coloured):
    logging.addLevelName(5, "TRACE")
    for use_colors, expected in ((False, plain), (True, coloured)):
        formatter = DefaultFormatter("%(levelprefix)s %(message)s", use_colors=use_colors)
        assert formatter.format(record(level=level)) == expected


def test_color_message():
    one = record("pid [%d]", 7, color_message="pid [*%d*]")
    assert DefaultFormatter("%(message)s", use_colors=True).format(one) == "pid [*7*]"
    assert DefaultFormatter("%(message)s", use_colors=False).format(one) == "pid [7]"
    assert one.getMessage() == "pid [7]"


@pytest.mark.parametrize(
    ("status", "plain", "coloured"),
    [
        (200, "200 OK", "\x1b[32m200 OK\x1b[0m"),
        (404, "404 Not Found", "\x1b[31m404 Not Found\x1b[0m"),
        (599, "599 ", "\x1b[91m599 \x1b[0m"),
        (999, "999 ", "999 "),
    ],
)
def test_requests(status, plain, coloured):
    one = record('%s - "%s %s HTTP/%s" %d', *REQUEST, status)
    form = '%(client_addr)s - "%(request_line)s" %(status_code)s'
    assert AccessFormatter(form, use_colors=False).format(one) == f'127.0.0.1:5 - "GET /a?b HTTP/1.1" {plain}'
    line = "\x1b[1mGET /a?b HTTP/1.1\x1b[0m"
    assert AccessFormatter(form, use_colors=True).format(one) == f'127.0.0.1:5 - "{line}" {coloured}'


@pytest.mark.parametrize(("formatter", "stream"), [(DefaultFormatter, "stderr"), (AccessFormatter, "stdout")])
def test_colours_on_a_terminal(monkeypatch, formatter, stream):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, stream, terminal)
    assert formatter().use_colors
    monkeypatch.setattr(sys, stream, None)
    assert not formatter().use_colors


def test_the_default_configuration_is_applied_by_a_config(capsys):
    """Programs change uvicorn.config.LOGGING_CONFIG, and pass it or not."""
    saltare.Config("main:app")
    logging.getLogger("uvicorn.error").info("a line")
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *REQUEST, 200)
    assert capsys.readouterr() == ('INFO:     127.0.0.1:5 - "GET /a?b HTTP/1.1" 200 OK\n', "INFO:     a line\n")


def test_use_colors_and_access_log(capsys):
    try:
        saltare.Config("main:app", use_colors=True, access_log=False, log_level="error")
        logging.getLogger("uvicorn.error").error("a line")
        logging.getLogger("uvicorn.error").info("no line")
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *REQUEST, 200)
        assert capsys.readouterr() == ("", "\x1b[31mERROR\x1b[0m:    a line\n")
    finally:
        for formatter in saltare.config.LOGGING_CONFIG["formatters"].values():
            formatter["use_colors"] = None
