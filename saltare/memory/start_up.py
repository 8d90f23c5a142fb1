"""Releases memory that is no longer needed once start-up is over."""

import gc
import sys

from .. import _memory, cpython
from ..modules import unload

DONE = ("app.importer", "launch.first_steps")  # modules that have done their work once the app is imported


def clear_for_server(config):
    """Frees what the import of the app has left, between that and the import of the server's modules, which then take
    its place. Later free places would be too scattered for their pages to be returned.
    """
    unload(*DONE)
    if config.uses("import-caches"):
        forget()
    if config.uses("collection"):
        gc.collect()
        gc.freeze()  # so that the collection at the end of start-up is short


def forget():
    """Empties caches that only speed up imports: lists of files by folder, and typing's of `X[Y]`. They refill."""
    forget_folders()
    cpython.clear_typing_caches()


def forget_folders():
    """Empties the lists of files, one for each folder imported from."""
    from importlib.machinery import FileFinder

    finders = sys.path_importer_cache
    for path in [path for path, finder in list(finders.items()) if type(finder) is FileFinder]:
        finders.pop(path, None)


def finish_start_up(config, park_memory=None):
    """For a process that only serves: objects alive now will stay, so the collector skips them from now on. Parks
    them in the folder `park_memory`, if given.
    """
    if config.uses("import-caches"):
        forget_folders()
    if config.uses("collection"):
        gc.collect()
    if park_memory is None:
        _freeze_and_trim(config)
    else:
        _move(config, park_memory)
    if config.uses("freed-pools"):
        _memory.watch_arenas()


def finish_start_up_to_fork(config):
    """The same for a process that forks the workers."""
    unload(*DONE)
    if config.uses("import-caches"):
        forget_folders()
    if config.uses("collection"):
        gc.collect()
    _move(config, config.park_memory, forks=True)
    if config.uses("freed-pools"):
        _memory.watch_arenas()


def _freeze_and_trim(config):
    if config.uses("collection"):
        gc.freeze()
    if config.uses("trimming"):
        _memory.trim()


def _move(config, park_memory, forks=False):
    from .park import open_pool, park, share

    _memory.record_counters()
    _memory.start_fresh()
    _freeze_and_trim(config)
    if park_memory is not None:
        park(park_memory)
    if forks and config.shares_heap():
        share()
        open_pool()


def finish_forking(config):
    """For the same process, once all workers serve and before it waits: what it touches afterwards stays its own."""
    if config.uses("start-up-pages"):
        _memory.release_files()
    if config.shares_heap():
        from .park import repark, seal_pool

        seal_pool()
        repark()
