"""Where the app's modules are imported from, and which of ours have done their work."""

import os
import sys


def put_app_dir_first(config):
    """For imports of the app, and of what log_config names."""
    if isinstance(config.app, str) or config.sources["app_dir"] != "default":
        put_first(config.app_dir)


def put_first(folder):
    folder = os.path.abspath(folder)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)


def unload(*names):
    """Drops modules of ours. Code that needs one of them later imports it anew. With other threads they stay: another
    server may be importing one.
    """
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        return
    for name in names:
        if sys.modules.pop(f"{__package__}.{name}", None) is not None:
            package, _, last = f"{__package__}.{name}".rpartition(".")
            delattr(sys.modules[package], last)
