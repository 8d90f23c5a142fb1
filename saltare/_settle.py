"""Once start-up is over: what only it needed goes back to the system: per process."""

import gc

from . import _memory


def settle():
    """For a process that serves and does nothing else: what is alive now stays, and is not looked at by the collector."""
    gc.collect()
    gc.freeze()
    _memory.trim()
    _memory.release_files()
