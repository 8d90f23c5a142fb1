"""Keeps imports from using compiled code that is older than its source.

Python looks at the second of the source's time and at its size, so that of two changes within a second the later may
not be seen: a file that was deployed, imported and replaced at once. After SIGHUP that would be the old code.
"""

import os
from importlib.machinery import SourceFileLoader

from ..cpython import source_from_cache


class FreshCode:
    """Does nothing unless it is `wanted`, nor where somebody else has put a method of theirs in the same place."""

    def __init__(self, wanted=True):
        self._wanted = wanted and "get_data" not in vars(SourceFileLoader)

    def __enter__(self):
        if self._wanted:
            SourceFileLoader.get_data = get_data

    def __exit__(self, *exc):
        if vars(SourceFileLoader).get("get_data") is get_data:
            del SourceFileLoader.get_data


def get_data(loader, path):
    """Of a SourceFileLoader. OSError: there is no such file, or the source has changed since; then it is compiled."""
    if path.endswith(".pyc") and is_outdated(path):
        raise FileNotFoundError(path)
    return super(SourceFileLoader, loader).get_data(path)


def is_outdated(path):
    try:
        return os.stat(path).st_mtime_ns < os.stat(source_from_cache(path)).st_mtime_ns
    except (OSError, ValueError):  # it is not in a __pycache__
        return False
