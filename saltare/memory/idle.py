"""Cleans up memory in quiet periods, when the app has sent nothing for a while.

No step may block the loop for long, and a request that arrives is served before the next step. Work that can be
interrupted runs in slices of a fixed count: pools, pages, descriptors. A collection or a trim cannot, and runs only if
it is expected to fit: by its last duration, plus the worst case for what was added since.
"""

import gc
import time

from .. import _memory
from .start_up import finish_start_up

# Units: seconds.
SLICE = 0.006  # longest expected duration of a step
LIMIT = 0.010  # longest duration of a step if the estimate was wrong

AFTER_START = 1.0  # pause before what the start has touched last is parked again

# Objects that a collection visits: with fewer, its fixed costs dominate.
FEW = 4096

POOLS = 256  # taken or released in one slice, a few milliseconds

# Worst cases, on a machine of 2020. Units: seconds for each byte, or for each block.
COLLECTING = 0.5e-9  # for each byte of growth of the process: tuples of one item
TRIMMING = 0.3e-9  # for each byte of growth of malloc's heap: blocks of two pages, every other one free
LOOKING = 0.05e-9  # the same: blocks of 1 KiB, every other one free
FREE_BLOCK = 0.25e-6  # for each free block that malloc visits
FREE_PAGES = 4e-6  # for each free block with pages of its own, which are released
FREE_BYTE = 0.05e-9  # for each free byte in memory


def cell():
    """A number, [0], written in place: an object made during a burst would keep an arena in memory."""
    return memoryview(bytearray(8)).cast("d")


class Estimate:
    """Estimates uninterruptible work, in seconds of CPU: the last duration, scaled by the growth of `count` (by
    default `size`), plus `rate` for each unit that the size has grown since.
    """

    def __init__(self, size, rate, count=None, clock=time.thread_time):
        self._size, self._rate, self._count, self._clock = size, rate, count or size, clock
        self._began, self._took, self._at, self._counted, self._now = (cell() for _ in range(5))
        self.begin()

    def begin(self):
        """Resets: existing memory costs nothing."""
        self._took[0] = 0.0
        self._at[0], self._now[0] = self._size(), self._count()
        self._counted[0] = self._now[0]

    def expected(self):
        self._now[0] = self._count()
        share = self._now[0] / max(self._counted[0], 1)
        return self._took[0] * share + max(0, self._size() - self._at[0]) * self._rate

    def fits(self):
        """Work that once took a little longer, as with much garbage, is retried some time later."""
        fits = self.expected() <= SLICE
        if not fits and self._took[0] <= LIMIT:
            self._took[0] *= 0.9
        return fits

    def run(self, work):
        """Call it after fits()."""
        self._began[0] = self._clock()
        result = work()
        self._took[0] = self._clock() - self._began[0]
        self._at[0], self._counted[0] = self._size(), self._now[0]
        return result


class Cleanup:
    """The cleanup of one process. `park_memory`: the folder to park in; `shares`: it shares the master's heap."""

    def __init__(self, config, park_memory=None, shares=False):
        self._config, self._park_memory = config, park_memory
        self._moved = shares or config.park_memory is not None
        self._slices = None  # the steps of a quiet period, once the core calls for them
        self._frozen = _memory.in_use()  # blocks allocated at start-up: no collection visits them
        self._collecting = Estimate(_memory.held, COLLECTING, self._objects)
        self._trimming = Estimate(_memory.heap, TRIMMING)
        self._looking = Estimate(_memory.heap, LOOKING)
        self._trimmed = cell()  # bytes that the process held after the last trim
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

            if has_moved():
                self._slices(self._after_start(repark() > 0))

    def attach(self, loop, core):
        """Makes the core call it."""
        self._slices = core.on_quiet = Slices(loop, core, self.steps)
        if self._config.uses("start-up-pages"):
            core.release = _memory.API

    def steps(self):
        """A generator: yields the seconds until its next step, and is sent whether a request has come."""
        collected = self._collect()
        if (yield 0):
            return
        if (yield from self._free()):
            return
        if not collected:  # the process may now be small enough for a full collection
            collected = self._collect()
            if (yield 0) or (collected and (yield from self._free())):
                return
        if self._moved:
            from .park import repark_in_slices

            yield from repark_in_slices()

    def _after_start(self, reparked):
        """Steps as in a quiet period: parks again what the start touches until its loop first waits."""
        from .park import repark_in_slices

        if not reparked:  # a thread was running, as on a busy machine
            if (yield 0):
                return
            yield from repark_in_slices()
        if not (yield AFTER_START):
            yield from repark_in_slices()

    def _objects(self):
        """The number of objects that a collection may visit; if unknown, bytes."""
        in_use = _memory.in_use()
        return max(FEW, in_use - self._frozen) if in_use else _memory.held()

    def _collect(self):
        """Returns whether nothing is left to collect. It freezes nothing, since uncollected garbage would stay.

        Only a full collection empties Python's lists of free objects, and each such object keeps an arena in memory.
        So does an object in use meanwhile that goes into such a list later.
        """
        if not self._config.uses("collection") or not gc.isenabled():
            return True
        fits = self._collecting.fits()
        if fits:
            self._collecting.run(gc.collect)
        else:
            gc.collect(1)  # the young generations are small
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
        """Seconds, from the free blocks, and how much of their size may be in memory."""
        in_memory = min(size, max(0, _memory.held() - self._trimmed[0]))
        return blocks * FREE_BLOCK + min(blocks, in_memory // 4096) * FREE_PAGES + in_memory * FREE_BYTE

    def _release(self):
        """It does not stop before it has released all pools that it took."""
        stop = False
        while _memory.release_pools(POOLS, stop) is None:
            stop = (yield 0) or stop
        return stop


class Slices:
    """Runs the steps of a quiet period, with a turn of the loop between two steps.

    The core calls it when the period begins, and for each step. So all steps run inside the loop's wait: while the
    loop runs a callback, it uses objects that later go into Python's lists of free objects.
    """

    def __init__(self, loop, core, steps):
        self._loop, self._core, self._steps = loop, core, steps
        self._running = None
        self._due = False  # the next step is due
        self._requests = cell()  # number of requests when the period began

    def __call__(self, steps=None):
        """Begins a quiet period, with other steps if given, or runs a step that is due."""
        busy = None
        if self._running is None:
            self._running, self._due = steps or self._steps(), True
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
            self._core.release_soon()
            return
        except Exception as error:  # must not come out of the loop's wait
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
