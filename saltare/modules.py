"""Unloads modules of ours that have done their work."""

import sys


def unload(*names):
    """Code that needs one of them later imports it anew."""
    for name in names:
        if sys.modules.pop(f"{__package__}.{name}", None) is not None:
            package, _, last = f"{__package__}.{name}".rpartition(".")
            delattr(sys.modules[package], last)
