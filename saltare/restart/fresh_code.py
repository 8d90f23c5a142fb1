"""Keeps imports from using compiled code that is older than its source.

Python compares only the second of the source's time, and its size. It may miss the later of two changes within a
second: a file deployed, imported and replaced at once. After SIGHUP the old code would run.
"""

import os
from importlib.machinery import SourceFileLoader

from ..cpython import source_from_cache


class FreshCode:
    """Does nothing unless `wanted`, or if another library has already replaced the same method."""

    def __init__(self, wanted=True):
        self._wanted = wanted and "get_data" not in vars(SourceFileLoader)

    def __enter__(self):
        if self._wanted:
            SourceFileLoader.get_data = get_data

    def __exit__(self, *exc):
        if self._wanted and vars(SourceFileLoader).get("get_data") is get_data:
            del SourceFileLoader.get_data


def get_data(loader, path):
    """A method of SourceFileLoader. OSError: no such file, or the source is newer; then Python compiles it."""
    if path.endswith(".pyc") and is_outdated(path):
        raise FileNotFoundError(path)
    return super(SourceFileLoader, loader).get_data(path)


def is_outdated(path):
    try:
        return os.stat(path).st_mtime_ns < os.stat(source_from_cache(path)).st_mtime_ns
    except (OSError, ValueError):  # not in a __pycache__
        return False
