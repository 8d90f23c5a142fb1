"""The module `uvicorn` of a program that `saltare as-uvicorn` runs."""

from importlib import import_module, metadata

from . import finder

# As in uvicorn, they are attributes after `import uvicorn`. `main` is a module first, and then the command.
for _name in ("config", "importer", "logging", "server", "main"):
    globals()[_name] = import_module(f".{_name}", __package__)

from .config import Config  # noqa: E402
from .main import main, run  # noqa: E402
from .server import Server  # noqa: E402

__all__ = ["Config", "Server", "main", "run"]
__path__ = finder.installed_at()  # where parts that we do not have come from
try:
    __version__ = metadata.version("uvicorn")
except metadata.PackageNotFoundError:
    __version__ = "0.54.0"  # the one whose names are here


def __getattr__(name):
    try:
        return import_module(f"uvicorn.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"module 'uvicorn' has no attribute {name!r}: saltare stands in its place") from None
