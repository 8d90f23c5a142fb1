"""Log lines: without logging, with the user's handlers, and never lost."""

import io
import json
import logging
import os
import subprocess
import sys
import textwrap

import pytest

from saltare import log
from saltare.errors import ConfigError
from saltare.options import sources

OWN = ("saltare", "saltare.error", "uvicorn", "uvicorn.error")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """saltare's state and loggers, as in a new process."""
    for name, value in (("_level", 20), ("_asked_for", False), ("_applied", None), ("_given", {}), ("_theirs", None)):
        monkeypatch.setattr(log, name, value)
    state = [(one, one.level, one.handlers[:]) for one in map(logging.getLogger, OWN)]
    for one, *_ in state:
        one.setLevel(logging.NOTSET)
    yield
    for one, level, handlers in state:
        one.setLevel(level)
        one.handlers[:], one.propagate, one.disabled = handlers, True, False


@pytest.fixture
def configure(tmp_path):
    def apply(**given):
        log.configure(sources.load("main:app", given, environ={}, cwd=tmp_path))

    return apply


@pytest.fixture
def root(monkeypatch):
    """Gives the root logger these handlers. Call it in the test, since pytest adds its own after the fixtures."""

    def having(*handlers):
        monkeypatch.setattr(logging.root, "handlers", list(handlers))

    return having


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


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


# --log-config


def settings(path):
    return {
        "formatters": {"plain": {"format": "%(levelname)s|%(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "plain"}},
        "loggers": {"saltare": {"handlers": ["file"], "level": "DEBUG", "propagate": False}},
    }


def test_json(configure, tmp_path, capsys, root):
    root()
    (tmp_path / "log.json").write_text(json.dumps(settings(tmp_path / "out.log")))
    configure(log_config=str(tmp_path / "log.json"))
    log.debug("one")
    assert (tmp_path / "out.log").read_text() == "DEBUG|one\n"
    assert capsys.readouterr().err == ""
    close_handlers()


def test_toml_applied_once(configure, tmp_path):
    pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    (tmp_path / "log.toml").write_text(
        '[handlers.kept]\nclass = "logging.StreamHandler"\n[loggers.saltare]\nhandlers = ["kept"]\n'
    )
    configure(log_config=str(tmp_path / "log.toml"))
    first = logging.getLogger("saltare").handlers[:]
    configure(log_config=str(tmp_path / "log.toml"))
    assert logging.getLogger("saltare").handlers == first


def test_ini(configure, tmp_path, root):
    root()
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n[logger_root]\nlevel=INFO\nhandlers=file\n"
        f"[handler_file]\nclass=FileHandler\nargs=('{tmp_path}/out.log',)\n"
    )
    configure(log_config=str(tmp_path / "log.ini"))
    log.info("one")
    assert (tmp_path / "out.log").read_text() == "one\n"
    close_handlers()


def test_a_dict_each_time(configure, tmp_path, root):
    """A program may change it between two servers."""
    root()
    given = settings(tmp_path / "one.log")
    configure(log_config=given)
    log.info("one")
    given["handlers"]["file"]["filename"] = str(tmp_path / "two.log")
    configure(log_config=given)
    log.info("two")
    assert (tmp_path / "one.log").read_text() == "INFO|one\n"
    assert (tmp_path / "two.log").read_text() == "INFO|two\n"
    close_handlers()


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_yaml(configure, tmp_path, root, ending):
    yaml = pytest.importorskip("yaml")
    root()
    (tmp_path / f"log.{ending}").write_text(yaml.safe_dump(settings(tmp_path / "out.log")))
    configure(log_config=str(tmp_path / f"log.{ending}"))
    log.info("one")
    assert (tmp_path / "out.log").read_text() == "INFO|one\n"
    close_handlers()


def test_yaml_without_pyyaml(configure, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "log.yaml").write_text("version: 1")
    with pytest.raises(ConfigError, match="pip install pyyaml"):
        configure(log_config=str(tmp_path / "log.yaml"))


INI = """
[loggers]
keys=root,requests
[handlers]
keys=file
[formatters]
keys=theirs
[logger_root]
level=INFO
handlers=file
[logger_requests]
qualname=uvicorn.access
level=INFO
handlers=
[handler_file]
class=FileHandler
formatter=theirs
args=("PATH",)
[formatter_theirs]
class=uvicorn.logging.DefaultFormatter
format=%(levelprefix)s %(message)s
"""


@pytest.mark.parametrize("kind", ["a path", "an open file", "a parser"])
def test_ini_by_any_name(configure, tmp_path, root, kind):
    """uvicorn's formatter is ours where uvicorn is not installed, as in these tests."""
    from configparser import ConfigParser

    root()
    path = tmp_path / "logging.conf"
    path.write_text(INI.replace("PATH", f"{tmp_path}/out.log"))
    given = str(path)
    if kind == "an open file":
        given = io.StringIO(path.read_text())
    elif kind == "a parser":
        given = ConfigParser()
        given.read(path)
    configure(log_config=given)
    log.info("one")
    assert (tmp_path / "out.log").read_text() == "INFO:     one\n"
    close_handlers()


@pytest.mark.parametrize("key", ["()", "class"])
def test_formatters_of_uvicorn_that_is_not_installed(configure, tmp_path, root, key):
    root()
    given = settings(tmp_path / "out.log")
    form = "fmt" if key == "()" else "format"
    given["formatters"]["plain"] = {key: "uvicorn.logging.DefaultFormatter", form: "%(levelprefix)s %(message)s"}
    configure(log_config=given)
    log.info("one")
    assert (tmp_path / "out.log").read_text() == "INFO:     one\n"
    assert given["formatters"]["plain"][key] == "uvicorn.logging.DefaultFormatter"
    close_handlers()


@pytest.mark.parametrize(
    ("loggers", "lines", "requests"),
    [
        (["uvicorn"], "uvicorn.error", None),
        (["uvicorn.error", "uvicorn.access"], "uvicorn.error", "uvicorn.access"),
        (["uvicorn", "saltare"], "saltare", None),
        (["saltare.access", "uvicorn.access"], "saltare", "saltare.access"),
        (["other"], "saltare", None),
    ],
)
def test_the_loggers_that_a_configuration_names(loggers, lines, requests, tmp_path, root):
    handler = Kept()
    given = {"loggers": {one: {"propagate": True} for one in loggers}}
    config = sources.load("main:app", {"log_config": given}, environ={}, cwd=tmp_path)
    log.configure(config)
    root(handler)
    log.info("one")
    assert [record.name for record in handler.records] == [lines]
    assert config.request_logger == requests


def test_a_server_without_a_configuration_uses_its_own_logger_again(configure, root):
    handler = Kept()
    configure(log_config={"loggers": {"uvicorn": {}}})
    configure()
    root(handler)
    log.info("one")
    assert [record.name for record in handler.records] == ["saltare"]


def close_handlers():
    for one in (*logging.root.handlers, *logging.getLogger("saltare").handlers):
        one.close()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[]", "does not hold a table"),
        ("a.json", '{"handlers": {"h": {"class": "no.such.Class"}}}', "no.such"),
        ("a.ini", "[loggers]\n", "formatters"),
        ("a.conf", "no section", "MissingSectionHeaderError"),
        ("a.yaml", "{", "not valid YAML"),
        ("a.yaml", "- 1", "does not hold a table"),
    ],
)
def test_refused(configure, tmp_path, name, text, reason):
    if name.endswith(".yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        configure(log_config=str(tmp_path / name))
    assert "log_config: got " in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


# The start-up line


class Listening:
    def __init__(self, url):
        self.url = url


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
