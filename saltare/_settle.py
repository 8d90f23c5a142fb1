"""Once start-up is over, and after every burst: what is no longer needed goes back to the system: per process."""

import gc

from . import _memory


def settle(park_memory=None):
    """For a process that only serves, or forks those that do: what is alive now will stay, so the collector need not
    look at it again. With `park_memory`, a folder, it is parked there.
    """
    gc.collect()
    gc.freeze()
    _memory.trim()
    if park_memory is not None:
        from ._park import park

        park(park_memory)
    _memory.release_files()


def rest():
    """When the app has been silent for a while. Nothing is frozen again: garbage that waits for its end would stay."""
    if gc.isenabled():
        gc.collect()
    _memory.trim()
    _memory.release_files()
