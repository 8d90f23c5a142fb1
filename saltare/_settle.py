"""Once start-up is over, and after every burst: what is no longer needed goes back to the system: per process."""

import gc
import sys

from . import _memory


def forget():
    """Empties what only made imports faster: lists of files by folder, and typing's cache of `X[Y]`. Both fill again as
    they are asked. To be called when the app is imported and what serves it is not, which then goes into the holes.
    """
    from importlib.machinery import FileFinder

    finders = sys.path_importer_cache
    for path in [path for path, finder in list(finders.items()) if type(finder) is FileFinder]:
        finders.pop(path, None)
    for clear in getattr(sys.modules.get("typing"), "_cleanups", ()):
        clear()


def settle(park_memory=None):
    """For a process that only serves: what is alive now will stay, so the collector need not look at it again. With
    `park_memory`, a folder, it is parked there.
    """
    gc.collect()
    if park_memory is None:
        gc.freeze()
        _memory.trim()
    else:
        _move(park_memory)
    _memory.watch_arenas()


def settle_to_fork(park_memory=None):
    """The same for a process that forks those that serve."""
    gc.collect()
    _move(park_memory, forks=True)
    _memory.watch_arenas()


def _move(park_memory, forks=False):
    from ._park import open_pool, park, share

    _memory.start_fresh()
    gc.freeze()
    _memory.trim()
    if park_memory is not None:
        park(park_memory)
    if forks:
        share()
        open_pool()


def rest_from_forking():
    """For the same process, when all those serve."""
    from ._park import repark, seal_pool

    seal_pool()
    repark()
    _memory.release_files()


def rest():
    """When the app has been silent for a while. Nothing is frozen again: garbage that waits for its end would stay."""
    if gc.isenabled():
        gc.collect()
    _memory.trim()
    _memory.release_pools()


def rest_parked():
    """The same where memory is parked or shared."""
    from ._park import repark

    rest()
    repark()
