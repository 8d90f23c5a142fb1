"""`saltare.run`: reads its options, then serves."""

import gc
import sys

from ..modules import unload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..asgi import AppOrName
    from ..options.config import Config

OF_OPTIONS = (
    "options.answer_values",
    "options.checks",
    "options.log_atoms",
    "options.log_values",
    "options.net_values",
    "options.path_values",
    "options.process_values",
    "options.proxy_values",
    "options.sources",
    "options.table",
    "options.values",
    "toml",
)


def run(app: "AppOrName", options: "dict[str, Any]") -> None:
    """Serves until stopped; see saltare.run."""
    config = configuration(app, options)
    from .program import Program

    Program(config).run()


def configuration(app: "AppOrName", options: "dict[str, Any]") -> "Config":
    """The modules that read options take 0.3 MiB. They stay only if the program had loaded them before."""
    loaded = set(sys.modules)
    from ..options.sources import load

    config = load(app, options)
    unload(*(name for name in OF_OPTIONS if f"saltare.{name}" not in loaded))
    gc.collect(1)  # so that the server's modules take their place
    return config
