"""The garbage collector as an adversary: whenever it runs, a finalizer acts on live objects.

On CPython 3.10 and 3.11 it may run within any allocation of a container. From 3.12 on it runs only between two
bytecode instructions, so there the tests use Python code that C calls: comparisons, iterators, hooks, destructors.
"""

import gc
import sys

WITHIN_ALLOCATIONS = sys.version_info < (3, 12)
FREED = 20  # more objects than any free list can gain since the last full collection, which empties them all


class Trap:
    """A garbage cycle whose finalizer acts and then creates the next cycle."""

    def __init__(self, adversary):
        self.itself, self.adversary = self, adversary
        adversary.ballast = None
        adversary.ballast = [Ballast() for _ in range(5)]

    def __del__(self):
        self.adversary.sprung()


class Ballast:
    """Live objects; a few more than the threshold, so that the very next allocation collects."""


class Adversary:
    """Within the block, `act()` is called whenever the collector runs. Its exceptions are ignored."""

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
        gc.set_threshold(1, 1 << 30, 1 << 30)  # only young collections; older generations hold many objects
        return self

    def __exit__(self, *exc):
        self.set = False
        gc.set_threshold(*self.before)
        gc.collect()  # collect the last trap


class AtAllocation:
    """Calls `act()` at the `nth` allocation of a container within `call()`, which must run no Python code before it.

    `reached` says whether there was such an allocation. Does nothing where the collector does not run in allocations.
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
        held = [[(i,), (i, i), (i, i, i), [i], {i: i}] for i in range(FREED)]  # empties free lists
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
    """Calls scenario(nth) for nth from 0 while its AtAllocation is reached, which it returns. Returns the count."""
    for nth in range(most):
        if not scenario(nth):
            return nth
    raise AssertionError(f"there is no end to it after {most} allocations")
