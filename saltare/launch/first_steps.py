"""The first steps of the interpreter that only serves, which launch/interpreter.py has started."""

import os
import sys

from ..options.config import Config


def take(fd):
    """Takes over what the command line left in descriptor `fd`, and removes its traces. Returns the configuration, and
    whether ssl can be loaded.
    """
    values, sources, arguments, command, root, added, has_ssl = received(fd)
    clean_path(root)
    remove_from_environment(added)
    sys.argv[:] = arguments
    sys.orig_argv[:] = command
    return Config(values, sources), has_ssl


def received(fd):
    import marshal

    with open(fd, "rb") as file:
        return marshal.load(file)


def clean_path(root):
    """Removes our own path entries, so that only --app-dir and the interpreter decide what is imported."""
    sys.path.remove(root)
    if sys.path[:1] == [""]:
        del sys.path[0]
    if root not in sys.path:
        sys.path.append(root)


def remove_from_environment(names):
    """For the app and its children. Go still finds them in the process's initial environment; glibc then has a copy."""
    os.environ["_SALTARE_COPY"] = ""
    for name in (*names, "_SALTARE_COPY"):
        os.environ.pop(name, None)
