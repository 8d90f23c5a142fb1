"""`log_config`: files and dicts that configure logging."""

import io
import json
import logging
import sys

import pytest
from kept import Kept

from saltare import log
from saltare.errors import ConfigError
from saltare.options import sources

pytestmark = pytest.mark.usefixtures("fresh_log")


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
