"""Makes `import uvicorn` find saltare, in the process of `saltare as-uvicorn` and in the Python processes it starts.

The folder stand_in/ on sys.path and in PYTHONPATH has a module `uvicorn`, which calls `take_over`. The submodules are
found by a Finder; those that saltare has no part in are uvicorn's own, if it is installed.
"""

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder

from ..errors import ClientDisconnected

STAND_IN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stand_in")

UTILS = "protocols.utils"  # the protocols of an installed uvicorn need its own
# Submodule of uvicorn -> module of saltare.
MODULES = {
    "config": "compat.config",
    "importer": "compat.importer",
    "logging": "compat.logging",
    "main": "compat.main",
    "server": "compat.server",
    "supervisors": "compat.supervisors",
    "supervisors.basereload": "compat.supervisors",
    "supervisors.multiprocess": "compat.supervisors",
    "supervisors.statreload": "compat.supervisors",
    "supervisors.watchfilesreload": "compat.supervisors",
}
# The same, where uvicorn is not installed.
OTHERWISE = {UTILS: "compat.protocols", "middleware.proxy_headers": "compat.proxy_headers"}
PACKAGES = ("middleware", "protocols")  # they exist also where uvicorn is not installed


def take_over() -> None:
    """From now on `uvicorn` and its submodules are ours, in this process."""
    if not any(isinstance(one, Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, Finder())
    for name in [name for name in sys.modules if name.partition(".")[0] == "uvicorn"]:
        del sys.modules[name]
    sys.modules["uvicorn"] = import_module("saltare.compat.uvicorn")
    for name, ours in MODULES.items():
        if f"saltare.{ours}" in sys.modules:
            sys.modules[f"uvicorn.{name}"] = sys.modules[f"saltare.{ours}"]


def installed_at():
    """The folder of an installed uvicorn, as the `__path__` of a package; empty if there is none."""
    others = [entry for entry in sys.path if os.path.abspath(entry) != STAND_IN]
    spec = PathFinder.find_spec("uvicorn", others)
    return list(spec.submodule_search_locations or ()) if spec else []


class Finder:
    """An entry of sys.meta_path."""

    def find_spec(self, name, path=None, target=None):
        parent, _, rest = name.partition(".")
        if parent != "uvicorn" or not rest:
            return None
        theirs = PathFinder.find_spec(name, path)
        if rest == UTILS and theirs is not None:
            theirs.loader = WithOurError(theirs.loader)
            return theirs
        if rest in MODULES:
            return ModuleSpec(name, Alias(f"saltare.{MODULES[rest]}"))
        if theirs is None and rest in OTHERWISE:
            return ModuleSpec(name, Alias(f"saltare.{OTHERWISE[rest]}"))
        if theirs is None and rest in PACKAGES:
            return ModuleSpec(name, Empty(), is_package=True)
        return theirs


class Alias:
    """Loads a module under a second name."""

    def __init__(self, module):
        self._module = module

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        sys.modules[module.__name__] = import_module(self._module)


class WithOurError:
    """Loads uvicorn's module with the error that `send()` raises here."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        module.ClientDisconnected = ClientDisconnected


class Empty:
    def create_module(self, spec):
        return None

    def exec_module(self, module):
        pass
