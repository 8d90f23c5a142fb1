"""What the workers of one arbiter share: the table of counters, by which they spread connections, and the heap."""

import os

from .. import _memory
from ..memory.start_up import finish_start_up_to_fork
from ..prefork.counters import Counters
from ..prefork.resources import SPARE_SLOTS

_table = None  # of this arbiter, once a worker was made
_taken = {}  # slot: the worker
_decided = False  # whether workers share the heap


def share_heap(wanted, options):
    """In the arbiter, before its first fork. Later calls do nothing."""
    global _decided
    if _decided:
        return
    _decided = True
    if wanted:
        finish_start_up_to_fork(options)
    else:
        _memory.cancel_parking()


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
