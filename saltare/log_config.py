"""Applies the file of --log-config by logging.config."""

from .errors import ConfigError
from .toml import file_content, parsed


def apply(path):
    """Configures logging from a .json, .toml or .ini file. ConfigError: unreadable, or logging rejects it."""
    content = file_content(path, path, required=True)
    if path.endswith(".ini"):
        apply_ini(path)
        return
    settings = parsed_json(path, content) if path.endswith(".json") else parsed(path, content)
    if not isinstance(settings, dict):
        raise refusal(path, "it does not hold a table of settings")
    from logging.config import dictConfig

    try:
        dictConfig({"version": 1, "disable_existing_loggers": False, **settings})
    except Exception as error:
        raise refusal(path, reason(error)) from error


def apply_ini(path):
    from logging.config import fileConfig

    try:
        fileConfig(path, disable_existing_loggers=False)
    except Exception as error:
        raise refusal(path, reason(error)) from error


def parsed_json(path, content):
    import json

    try:
        return json.loads(content)
    except ValueError as error:
        raise refusal(path, f"not valid JSON: {error}") from None


def reason(error):
    """The whole chain on one line: logging.config gives the cause of a failure only in `__cause__`."""
    texts = []
    while error is not None:
        texts.append(" ".join(f"{type(error).__name__}: {error}".split()))
        error = error.__cause__
    return "; ".join(texts)


def refusal(path, text):
    return ConfigError(f"log_config: got {path!r}, which is not accepted: {text}")
