"""The collector as an adversary: whenever it may run, a finalizer acts on what is alive.

On CPython 3.10 and 3.11 it may run within any allocation of a container; from 3.12 on only between two instructions of
Python code, so there the same is tried by what C calls: comparisons, iterators, hooks, and the end of objects.
"""

import gc
import sys

WITHIN_ALLOCATIONS = sys.version_info < (3, 12)
FREED = 20  # more objects than have come into a free list since the last full collection, which empties them all


class Trap:
    """A cycle of garbage; its finalizer springs, and sets the next one."""

    def __init__(self, adversary):
        self.itself, self.adversary = self, adversary
        adversary.ballast = None
        adversary.ballast = [Ballast() for _ in range(5)]

    def __del__(self):
        self.adversary.sprung()


class Ballast:
    """Alive; a few more than the threshold, so that the very next allocation collects."""


class Adversary:
    """Within it, `act()` is called whenever the collector runs. What it raises is of no interest."""

    def __init__(self, act):
        self.act, self.acting, self.set = act, False, False
        self.springs = 0
        self.before = None

    def sprung(self):
        if not self.set:
            return
        self.springs += 1
        Trap(self)
        if not self.acting:
            self.acting = True
            try:
                self.act()
            except Exception:
                pass
            finally:
                self.acting = False

    def __enter__(self):
        self.before = gc.get_threshold()
        self.set = True
        Trap(self)
        gc.set_threshold(1, 1 << 30, 1 << 30)  # young objects are enough, and the others many
        return self

    def __exit__(self, *exc):
        self.set = False
        gc.set_threshold(*self.before)
        gc.collect()  # the last one


class AtAllocation:
    """Calls `act()` at the allocation number `nth` of a container within `call()`, which runs no Python code before.

    `reached` says whether there was such an allocation. Does nothing where the collector does not run within allocations.
    """

    def __init__(self, nth, act):
        self.left, self.act, self.reached = nth, act, False

    def sprung(self):
        if self.reached:
            return
        if self.left > 0:
            self.left -= 1
            Trap(self)
            return
        self.reached = True
        try:
            self.act()
        except Exception:
            pass

    def call(self, call, *arguments):
        before = gc.get_threshold()
        gc.collect()
        gc.disable()
        held = [[(i,), (i, i), (i, i, i), [i], {i: i}] for i in range(FREED)]  # what comes from there is no allocation
        Trap(self)
        gc.set_threshold(1, 1 << 30, 1 << 30)
        gc.enable()
        try:
            return call(*arguments)
        finally:
            gc.disable()
            held.clear()
            gc.set_threshold(*before)
            gc.enable()


def at_each_allocation(scenario, most=40):
    """Calls scenario(nth) for nth from 0; it returns whether its AtAllocation was reached. Returns how many were."""
    for nth in range(most):
        if not scenario(nth):
            return nth
    raise AssertionError(f"there is no end to it after {most} allocations")
