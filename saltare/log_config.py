"""Applies `log_config`, a file or a dict, by logging.config."""

import os
import sys

from .errors import ConfigError
from .modules import put_app_dir_first
from .toml import file_content, parsed

THEIRS, OURS = "uvicorn.logging.", "saltare.logging."  # names of formatters
_imported = set()  # names of modules in the app's folder that a configuration has imported


def apply_for(config):
    """`apply`, of a server's log_config, which may name what lies in the app's folder."""
    put_app_dir_first(config)
    before = set(sys.modules)
    try:
        return apply(config.log_config)
    finally:
        folder = os.path.join(os.path.abspath(config.app_dir), "")
        _imported.update(name for name in sys.modules.keys() - before if is_in(folder, sys.modules[name]))


def is_in(folder, module):
    """Whether the app's folder holds the module itself, not an environment that has it installed."""
    folders = getattr(module, "__path__", ())  # a namespace package has no file
    path = getattr(module, "__file__", None) or next(iter(folders), "")
    return path.startswith(folder) and "site-packages" not in path.removeprefix(folder).split(os.sep)


def forget_imported():
    """The next import of those modules runs their code again. Returns whether there are any."""
    for name in _imported:
        sys.modules.pop(name, None)
    found = bool(_imported)
    _imported.clear()
    return found


def apply(given):
    """Configures logging, and returns the names of the loggers in the configuration.

    A dict, or a path: .json, .toml and .yaml for dictConfig, any other file for fileConfig, which also takes an open
    file and a RawConfigParser. ConfigError: unreadable, or logging rejects it.
    """
    if isinstance(given, dict):
        return apply_settings("a dict", given)
    if not isinstance(given, (str, os.PathLike)):
        return apply_ini(given, given)
    path = os.fspath(given)
    content = file_content(path, path, required=True)
    for endings, read in READERS.items():
        if path.endswith(endings):
            return apply_settings(path, read(path, content))
    return apply_ini(path, path)


def apply_settings(shown, settings):
    if not isinstance(settings, dict):
        raise refusal(shown, "it does not hold a table of settings")
    from logging.config import dictConfig

    try:
        dictConfig({"version": 1, "disable_existing_loggers": False, **with_our_formatters(settings)})
        return set(settings.get("loggers", ()))
    except Exception as error:
        raise refusal(shown, reason(error)) from error


def with_our_formatters(settings):
    """uvicorn's formatters are ours where uvicorn is not installed."""
    formatters = settings.get("formatters")
    if not isinstance(formatters, dict) or uvicorn_is_installed():
        return settings
    return {**settings, "formatters": {name: with_our_class(one) for name, one in formatters.items()}}


def with_our_class(formatter):
    if not isinstance(formatter, dict):
        return formatter
    return {key: ours(value) if key in ("()", "class") else value for key, value in formatter.items()}


def ours(name):
    return name.replace(THEIRS, OURS, 1) if isinstance(name, str) and name.startswith(THEIRS) else name


def uvicorn_is_installed():
    from importlib.util import find_spec

    return find_spec("uvicorn") is not None


def apply_ini(shown, source):
    from configparser import ConfigParser, RawConfigParser
    from logging.config import fileConfig

    try:
        parser = source
        if not isinstance(source, RawConfigParser):
            parser = ConfigParser()
            if hasattr(source, "readline"):
                parser.read_file(source)
            else:
                with open(source, encoding="utf-8") as file:
                    parser.read_file(file)
        for section in parser.sections() if not uvicorn_is_installed() else ():
            if section.startswith("formatter_") and parser.has_option(section, "class"):
                parser.set(section, "class", ours(parser.get(section, "class", raw=True)))
        fileConfig(parser, disable_existing_loggers=False)
        return named_loggers(parser)
    except Exception as error:
        raise refusal(shown, reason(error)) from error


def named_loggers(parser):
    keys = [f"logger_{key.strip()}" for key in parser["loggers"]["keys"].split(",")]
    return {parser[key]["qualname"] for key in keys if parser.has_option(key, "qualname")}


def parsed_json(path, content):
    import json

    try:
        return json.loads(content)
    except ValueError as error:
        raise refusal(path, f"not valid JSON: {error}") from None


def parsed_yaml(path, content):
    try:
        import yaml
    except ImportError:
        raise refusal(path, "reading YAML needs PyYAML: pip install pyyaml; or write the same as .json") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise refusal(path, f"not valid YAML: {' '.join(str(error).split())}") from None


READERS = {(".json",): parsed_json, (".toml",): parsed, (".yaml", ".yml"): parsed_yaml}


def reason(error):
    """The whole chain on one line: logging.config gives the cause of a failure only in `__cause__`."""
    texts = []
    while error is not None:
        texts.append(" ".join(f"{type(error).__name__}: {error}".split()))
        error = error.__cause__
    return "; ".join(texts)


def refusal(shown, text):
    return ConfigError(f"log_config: got {shown!r}, which is not accepted: {text}")
