"""The table of counters that the workers of one arbiter share, by which they spread connections."""

import os

from ..prefork.counters import Counters
from ..prefork.resources import SPARE_SLOTS

_table = None  # of this arbiter, once a worker was made
_taken = {}  # slot: the worker


def take_slot(worker):
    """In the arbiter, before it forks the worker: the table and a slot in it. Slot 0: the worker needs a table of its
    own, because none is free, or because it does not share its sockets.
    """
    global _table
    if worker.cfg.reuse_port:
        return None, 0
    try:
        if _table is None or _table.pid != os.getpid():
            _table = Table.made(worker.cfg.workers * 2 + SPARE_SLOTS)
            _taken.clear()
        for slot in [slot for slot, one in _taken.items() if has_ended(one)]:
            _table.free(slot)
            del _taken[slot]
        slot = _table.take()
    except OSError:  # no descriptor left, for example
        return None, 0
    if slot:
        _taken[slot] = worker
    return _table, slot


class Table(Counters):
    def __init__(self, *args):
        super().__init__(*args)
        self.pid = os.getpid()


def has_ended(worker):
    """The arbiter closes the file of a worker that it has reaped."""
    try:
        worker.tmp.fileno()
    except ValueError:
        return True
    return False
