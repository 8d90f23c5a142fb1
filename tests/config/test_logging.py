"""Log lines: without logging, with the user's handlers, and never lost."""

import io
import logging
import os
import subprocess
import sys
import textwrap

import pytest
from kept import Kept

from saltare import log

pytestmark = pytest.mark.usefixtures("fresh_log")


def failure():
    try:
        raise ValueError("inner") from KeyError("cause")
    except ValueError as error:
        return error


def test_line_on_stderr(capsys, root):
    root()
    log.info("hello")
    line = capsys.readouterr().err
    assert line.endswith(" INFO hello\n")
    assert line[:4].isdigit()


def test_traceback_is_whole(capsys, root):
    root()
    log.error("it failed", failure())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" ERROR it failed")
    assert "KeyError: 'cause'" in lines
    assert lines[-1] == "ValueError: inner"


def test_default_level(capsys, root):
    root()
    log.debug("quiet")
    assert capsys.readouterr().err == ""
    assert log.enabled(log.INFO)
    assert not log.enabled(log.DEBUG)


def test_asked_for_level(configure, capsys, root):
    root()
    configure(log_level="debug")
    log.debug("loud")
    configure(log_level="critical")
    log.error("quiet")
    assert capsys.readouterr().err.endswith(" DEBUG loud\n")


def test_the_level_of_one_server_is_not_that_of_the_next(configure, capsys, root):
    root()
    configure(log_level="critical")
    log.error("quiet")
    configure()
    log.error("loud")
    assert capsys.readouterr().err.endswith(" ERROR loud\n")


def test_a_level_is_not_left_behind_by_a_server_with_the_loggers_of_uvicorn(configure, capsys, root, monkeypatch):
    root()
    configure(log_level="critical")
    log.error("quiet")
    configure(log_level="error")
    monkeypatch.setattr(log, "_theirs", log.UVICORNS)
    log.warning("quiet")
    configure()
    log.info("loud")
    assert capsys.readouterr().err.endswith(" INFO loud\n")


@pytest.mark.parametrize("owner", ["root", "saltare", "saltare.error"])
def test_handlers_of_the_user_get_it_instead_of_stderr(owner, root, capsys):
    handler = Kept()
    root(*[handler] if owner == "root" else [])
    if owner != "root":
        logging.getLogger(owner).addHandler(handler)
    log.error("100 %s failed", failure())
    (record,) = handler.records
    assert (record.name, record.getMessage()) == ("saltare.error", "100 %s failed")
    assert record.exc_info[1].args == ("inner",)
    assert record.funcName == "test_handlers_of_the_user_get_it_instead_of_stderr"
    assert capsys.readouterr().err == ""


def test_level_of_the_user_holds_unless_one_is_asked_for(configure, capsys, root):
    root()
    logging.getLogger("saltare").setLevel(logging.ERROR)
    configure()
    log.info("quiet")
    assert capsys.readouterr().err == ""
    configure(log_level="info")
    log.info("loud")
    assert capsys.readouterr().err.endswith("loud\n")


def test_root_level_does_not_hide_information(configure, root):
    handler = Kept()
    root(handler)
    assert logging.root.level == logging.WARNING
    configure()
    log.info("shown")
    assert [one.getMessage() for one in handler.records] == ["shown"]


def test_disabled_by_a_configuration_of_the_app(capsys, root):
    root()
    logging.getLogger("saltare.error")
    from logging.config import dictConfig

    dictConfig({"version": 1})
    assert logging.getLogger("saltare.error").disabled
    log.error("still there")
    assert capsys.readouterr().err.endswith("still there\n")


def test_handler_that_fails(capsys, monkeypatch, root):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(logging, "raiseExceptions", True)
    bad = Kept()
    bad.emit = lambda record: 1 / 0
    root(logging.StreamHandler(closed), bad)
    log.error("not lost", failure())
    err = capsys.readouterr().err
    assert "ERROR not lost" in err
    assert "ValueError: inner" in err


def test_exception_that_cannot_be_formatted(capsys, root):
    root()

    class Awkward(Exception):
        def __str__(self):
            raise SystemError

    log.error("odd", Awkward())
    assert "Awkward" in capsys.readouterr().err


def test_stderr_closed_by_the_app(capsys, monkeypatch, root):
    root()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(sys, "__stderr__", None)
    log.error("not lost", failure())
    out = capsys.readouterr().out
    assert "ERROR not lost" in out
    assert "ValueError: inner" in out


def test_all_streams_closed(monkeypatch, root):
    root()
    for name in ("stderr", "__stderr__", "stdout", "__stdout__"):
        monkeypatch.setattr(sys, name, None)
    log.error("nowhere to go")


def script(text):
    command = [sys.executable, "-c", textwrap.dedent(text)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_logging_is_not_imported():
    result = script("""
        import sys
        from saltare import log
        log.info("hello")
        log.error("it failed", ValueError("x"))
        assert "logging" not in sys.modules
    """)
    assert result.returncode == 0, result.stderr
    assert b"INFO hello" in result.stderr


def test_broken_pipe_goes_to_stdout_and_leaves_the_exit_code():
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-c", "from saltare import log; log.error('not lost')"],
        stdout=subprocess.PIPE,
        stderr=writer,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert result.returncode == 0
    assert result.stdout.endswith(b"ERROR not lost\n")


def test_non_blocking_stderr_gets_everything():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    code = "from saltare import log; log.error('x' * 300_000 + 'end')"
    with subprocess.Popen([sys.executable, "-c", code], stderr=writer) as process:
        os.close(writer)
        with open(reader, "rb") as pipe:
            text = pipe.read()
        assert process.wait(60) == 0
    assert text.endswith(b"xend\n")
    assert text.count(b"x") >= 300_000


# The start-up line


class Listening:
    def __init__(self, url):
        self.url, self.admin = url, False


def test_startup_line(monkeypatch):
    urls = [Listening("http://127.0.0.1:8000"), Listening("unix:/x")]
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    line = log.startup_line(urls, "plain")
    from saltare import __version__

    assert line == f"saltare {__version__} listening on http://127.0.0.1:8000, unix:/x (pid {os.getpid()}, plain core)"
    stderr.isatty = lambda: True
    assert log.startup_line(urls, "plain") == line + "; Ctrl+C to stop"
    del stderr.isatty
    stderr.close()
    assert log.startup_line(urls, "plain") == line
