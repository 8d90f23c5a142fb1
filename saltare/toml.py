"""Reads TOML files, with the parser that this Python has."""

import os

from .errors import ConfigError


def file_content(shown, path, required):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if not required and not os.path.exists(path):
            return b""
        raise ConfigError(f"{shown}: cannot read it: {error.strerror}") from None


def parsed(shown, content):
    try:
        import tomllib
    except ImportError:
        tomllib = tomli(shown)
    try:
        return tomllib.loads(content.decode())
    except ValueError as error:
        raise ConfigError(f"{shown}: not valid TOML: {' '.join(str(error).split())}") from None


def tomli(shown):
    try:
        import tomli
    except ImportError:
        raise ConfigError(f"{shown}: reading TOML on Python 3.10 needs tomli: pip install tomli") from None
    return tomli
