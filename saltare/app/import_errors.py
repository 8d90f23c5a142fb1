"""Messages about an app that cannot be imported. Each goes with the exception to show, or None."""

import os
import sys

from ..log import one_line

USUAL = ("app", "api", "application", "asgi")  # names of apps


def of_import(name, target, error):
    """The module was not imported."""
    if isinstance(error, SystemExit):
        return f'importing "{name}" ended in sys.exit({error.code!r})', error
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and f"{name}.".startswith(f"{missing}."):
        return missing_module(name, missing, target), None
    return f'importing "{name}" failed: {one_line(error)}', error


def of_attribute(found, name, owner, target, error):
    """What was found has no such attribute, or reading it failed."""
    if isinstance(error, AttributeError):
        hint = close_to(name, dir(found)) or close_to("app", [one for one in USUAL if one in dir(found)], 0)
        return f'app "{target}": "{owner}" has no attribute "{name}"{hint}', None
    return f'app "{target}": reading "{name}" of "{owner}" failed: {one_line(error)}', error


def missing_module(name, missing, target):
    if name.endswith(".py") or "/" in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".")
        return f'app "{target}": "{name}" is a path, not a module; write "{dotted}:{target.partition(":")[2]}"'
    if parent := missing.rpartition(".")[0]:
        return f'app "{target}": "{parent}" has no module "{missing.rpartition(".")[2]}"'
    hint = close_to(missing, modules())
    return f'app "{target}": there is no module "{missing}" in {sys.path[0]} or elsewhere on sys.path{hint}'


def modules():
    """Names of modules in the app's folder."""
    try:
        entries = os.listdir(sys.path[0])
    except OSError:
        return []
    return [name.removesuffix(".py") for name in entries if name.removesuffix(".py").isidentifier()]


def close_to(name, names, alike=0.6):
    from difflib import get_close_matches

    close = get_close_matches(name, [one for one in names if not one.startswith("_")], cutoff=alike)
    return f"; did you mean {' or '.join(close)}?" if close else ""
