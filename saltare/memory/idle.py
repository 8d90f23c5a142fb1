"""Memory is cleaned up in quiet periods, when the app has sent nothing for a while.

No step may keep the loop for long, and a request that arrives is served before the next one. What can be stopped and
taken up again is done in slices, by count: pools, pages, descriptors. What cannot, a collection or a trim, is done only
where it is expected to fit: by what it took the last time, and by the worst that what has come since may take.
"""

import gc
import time

from .. import _memory, log
from .start_up import finish_start_up

# Units: seconds.
SLICE = 0.006  # that a step is expected to take at most
LIMIT = 0.010  # that it may take where the guess was wrong

# Objects that a collection looks at: with fewer, other work counts more.
FEW = 4096

# Of one slice, a few milliseconds each.
POOLS = 256  # taken or given back
PAGES = 1024  # compared

# A thread that runs may sleep a moment later, also one that was held until now; on a busy machine that takes its time.
TRIES = 20
PAUSE = 0.25  # seconds
BREATH = 0.002  # seconds, after threads were held

# At worst, on a machine of 2020. Units: seconds for each byte, or for each block.
COLLECTING = 0.5e-9  # the process's memory has grown by it: tuples of one item
TRIMMING = 0.3e-9  # malloc's heap has grown by it: blocks of two pages, every other one free
LOOKING = 0.05e-9  # the same: blocks of 1 KiB, every other one free
FREE_BLOCK = 0.25e-6  # malloc looks at it
FREE_PAGES = 4e-6  # a free block with pages of its own, which are given back
FREE_BYTE = 0.05e-9  # in memory


def cell():
    """Room for a number, [0], that is written in place: an object made in a burst would keep an arena in memory."""
    return memoryview(bytearray(8)).cast("d")


class Estimate:
    """How long work may take that cannot be interrupted, in seconds of CPU: for each of what `count` tells, the size
    unless given, as long as the last time, and for what has come since as `rate` says for each unit of the size.
    """

    def __init__(self, size, rate, count=None, clock=time.thread_time):
        self._size, self._rate, self._count, self._clock = size, rate, count or size, clock
        self._began, self._took, self._at, self._counted, self._now = (cell() for _ in range(5))
        self.begin()

    def begin(self):
        """What there is now costs nothing."""
        self._took[0] = 0.0
        self._at[0], self._now[0] = self._size(), self._count()
        self._counted[0] = self._now[0]

    def expected(self):
        self._now[0] = self._count()
        share = self._now[0] / max(self._counted[0], 1)
        return self._took[0] * share + max(0, self._size() - self._at[0]) * self._rate

    def fits(self):
        """What took a little longer once, as where there was much garbage, is tried again some time."""
        fits = self.expected() <= SLICE
        if not fits and self._took[0] <= LIMIT:
            self._took[0] *= 0.9
        return fits

    def run(self, work):
        """To be called after fits()."""
        self._began[0] = self._clock()
        result = work()
        self._took[0] = self._clock() - self._began[0]
        self._at[0], self._counted[0] = self._size(), self._now[0]
        return result


class Cleanup:
    """What one process does of it. `park_memory` is the folder to park in; `shares`: its heap is the master's."""

    def __init__(self, config, park_memory=None, shares=False):
        self._config, self._park_memory = config, park_memory
        self._moved = shares or config.park_memory is not None
        self._slices = None  # the steps of a quiet period, once the core calls for them
        self._frozen = _memory.in_use()  # blocks that start-up took: no collection looks at them
        self._collecting = Estimate(_memory.held, COLLECTING, self._objects)
        self._trimming = Estimate(_memory.heap, TRIMMING)
        self._looking = Estimate(_memory.heap, LOOKING)
        self._trimmed = cell()  # what the process held then
        self._trimmed[0] = _memory.held()

    def begin(self):
        """Start-up is over."""
        finish_start_up(self._config, self._park_memory)
        self._frozen = _memory.in_use()
        for estimate in (self._collecting, self._trimming, self._looking):
            estimate.begin()
        self._trimmed[0] = _memory.held()
        if self._moved and self._slices is not None:
            from .park import has_moved, repark

            if has_moved() and repark() == 0:  # a thread ran, as on a busy machine
                self._slices()

    def attach(self, loop, core):
        """Has the core call for it."""
        self._slices = core.on_lull = Slices(loop, core, self.steps)
        if self._config.uses("start-up-pages"):
            core.release = _memory.API

    def steps(self):
        """A generator: yields the seconds to wait until its next step, and is sent whether a request has come."""
        collected = self._collect()
        if (yield 0):
            return
        if (yield from self._free()):
            return
        if not collected:  # the process may have become so small that a full collection fits
            collected = self._collect()
            if (yield 0) or (collected and (yield from self._free())):
                return
        if self._moved:
            yield from self._repark()

    def _objects(self):
        """How many a collection may look at; where that is not known, bytes."""
        in_use = _memory.in_use()
        return max(FEW, in_use - self._frozen) if in_use else _memory.held()

    def _collect(self):
        """Returns whether nothing is left to collect. Nothing is frozen again, for garbage that waits would stay.

        Only a full collection empties the lists in which Python keeps free objects, of which each keeps an arena in
        memory. So does an object that is in use meanwhile and goes into such a list later.
        """
        if not self._config.uses("collection") or not gc.isenabled():
            return True
        fits = self._collecting.fits()
        if fits:
            self._collecting.run(gc.collect)
        else:
            gc.collect(1)  # of which there is little
        return fits

    def _free(self):
        if self._config.uses("trimming") and (yield from self._trim()):
            return True
        return (yield from self._release()) if self._config.uses("freed-pools") else False

    def _trim(self):
        if not self._trimming.fits():
            if not self._looking.fits():
                return False
            blocks, size = self._looking.run(_memory.free_blocks)
            if (yield 0):
                return True
            if self._time_to_trim(blocks, size) > SLICE:
                return False
        self._trimming.run(_memory.trim)
        self._trimmed[0] = _memory.held()
        return (yield 0)

    def _time_to_trim(self, blocks, size):
        """Seconds, by the blocks that are free, and by how much of their size may be in memory."""
        in_memory = min(size, max(0, _memory.held() - self._trimmed[0]))
        return blocks * FREE_BLOCK + min(blocks, in_memory // 4096) * FREE_PAGES + in_memory * FREE_BYTE

    def _release(self):
        """It does not stop before all pools are given back that it has taken."""
        stop = False
        while _memory.release_pools(POOLS, stop) is None:
            stop = (yield 0) or stop
        return stop

    def _repark(self):
        from .park import NotParked, has_moved, look_for_rings, repark_slice

        at, tries = 0, 0
        if not has_moved():
            return
        try:
            for _ in look_for_rings():
                if (yield 0):
                    return
            while True:
                try:
                    at = repark_slice(at, PAGES)
                except RuntimeError:
                    tries += 1
                    if tries == TRIES:
                        raise
                    if (yield PAUSE):
                        return
                else:
                    if at == 0 or (yield BREATH):
                        return
        except (NotParked, OSError, RuntimeError) as reason:
            log.debug(f"memory is not parked again: {reason}")


class Slices:
    """Runs the steps of a quiet period, with a turn of the loop between two of them.

    To be called when one begins, and when the core goes on with it. So all steps are done within the wait of the loop:
    while it runs a callback, it has objects in use that go into Python's lists of free ones.
    """

    def __init__(self, loop, core, steps):
        self._loop, self._core, self._steps = loop, core, steps
        self._running = None
        self._due = False  # the next step
        self._requests = cell()  # that had come when it began

    def __call__(self):
        busy = None
        if self._running is None:
            self._running, self._due = self._steps(), True
            self._requests[0] = self._core.stats()["requests"]
        elif self._due:
            busy = self._core.stats()["requests"] != self._requests[0]
        if self._due:
            self._due = False
            self._go_on(busy)

    def _go_on(self, busy):
        running, self._running = self._running, None
        try:
            pause = running.send(busy)
        except StopIteration:
            self._core.rest()
            return
        except Exception as error:  # not one of the wait
            self._loop.call_exception_handler({"message": "a quiet period failed", "exception": error})
            return
        self._running = running
        if pause:
            self._loop.call_later(pause, self._next)
        else:
            self._next()

    def _next(self):
        self._due = True
        self._core.again()
