"""Once start-up is over: what only it needed goes back to the system: per process."""

import gc

from . import _memory


def settle():
    """For a process that only serves: what is alive now will stay, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    _memory.trim()
    _memory.release_files()
