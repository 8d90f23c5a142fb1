"""No step of a quiet period blocks the loop for long; events that arrive meanwhile are served between two steps."""

import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import HANG
from saltare.memory import idle
from saltare.memory.idle import SLICE, Cleanup, Estimate, Slices
from saltare.options import sources

MIB = 1 << 20


class Memory:
    """A fake _memory for the steps: the test sets the sizes, and calls are recorded."""

    def __init__(self):
        self.sizes = {"held": 100 * MIB, "heap": 10 * MIB, "in_use": 100_000}
        self.blocks = (100, MIB)
        self.slices = 1  # of pools
        self.done = []

    def held(self):
        return self.sizes["held"]

    def heap(self):
        return self.sizes["heap"]

    def in_use(self):
        return self.sizes["in_use"]

    def free_blocks(self):
        self.done.append("look")
        return self.blocks

    def trim(self):
        self.done.append("trim")

    def watch_arenas(self):
        pass

    def release_pools(self, pools, stop):
        assert 0 < pools * 16384 <= 8 * MIB
        self.slices -= 1
        self.done.append("stop" if stop else "pools")
        return 0 if self.slices == 0 else None


@pytest.fixture
def memory(monkeypatch):
    memory = Memory()
    monkeypatch.setattr(idle, "_memory", memory)
    monkeypatch.setattr(idle, "finish_start_up", lambda *_: None)
    monkeypatch.setattr(gc, "collect", lambda generation=2: memory.done.append(f"collect {generation}") or 0)
    return memory


def cleanup(**options):
    made = Cleanup(sources.load("main:app", options))
    made.begin()
    return made


def run(steps, busy=()):
    """Runs all steps; a request arrives at the steps with these numbers. Returns how many steps there were."""
    sent = None
    for number in range(1000):
        try:
            steps.send(sent)
        except StopIteration:
            return number
        sent = number in busy
    raise AssertionError("it does not end")


def spin(seconds):
    """Uses that much CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_where_little_has_come_all_is_done(memory):
    run(cleanup().steps())
    assert memory.done == ["collect 2", "trim", "pools"]


def test_a_full_collection_is_not_tried_where_much_has_come(memory):
    """The memory of three million objects."""
    made = cleanup()
    memory.sizes["held"] += 200 * MIB
    run(made.steps())
    assert memory.done == ["collect 1", "trim", "pools", "collect 1"]


def test_a_trim_is_not_tried_where_there_may_be_many_free_blocks(memory):
    made = cleanup()
    memory.sizes["heap"] += 100 * MIB
    memory.blocks = (30_000, 80 * MIB)
    run(made.steps())
    assert "look" in memory.done and "trim" not in memory.done
    memory.blocks, memory.done, memory.slices = (200, 80 * MIB), [], 1
    run(made.steps())
    assert "trim" in memory.done


def test_free_blocks_are_not_counted_where_there_may_be_very_many(memory):
    made = cleanup()
    memory.sizes["heap"] += 500 * MIB
    run(made.steps())
    assert "look" not in memory.done and "trim" not in memory.done


def test_pools_go_in_slices_and_are_all_given_back(memory):
    memory.slices = 5
    assert run(cleanup().steps()) >= 5
    assert memory.done.count("pools") == 5
    memory.slices, memory.done = 5, []
    run(cleanup().steps(), busy=[3])
    assert memory.done == ["collect 2", "trim", "pools", "pools", "stop", "stop", "stop"]


def test_a_request_ends_it(memory):
    made = cleanup()
    assert run(made.steps(), busy=[0]) == 1
    assert memory.done == ["collect 2"]


@pytest.mark.parametrize(
    ("without", "done"),
    [
        ("trimming", ["collect 2", "pools"]),
        ("freed-pools", ["collect 2", "trim"]),
        ("collection", ["trim", "pools"]),
        ("trimming,freed-pools,collection", []),
    ],
)
def test_each_can_be_left_out(memory, without, done):
    run(cleanup(memory_without=without).steps())
    assert memory.done == done


def test_safe_leaves_the_allocator_alone(memory):
    run(cleanup(memory="safe").steps())
    assert memory.done == ["collect 2", "trim"]


# ---- expected cost -------------------------------------------------------------------------------------------------


def test_what_took_too_long_is_not_repeated_before_there_is_less():
    clock, size = [0.0], [100]
    estimate = Estimate(lambda: size[0], SLICE / 100, clock=lambda: clock[0])

    def work():
        clock[0] += 2 * SLICE
        return "done"

    assert estimate.fits() and estimate.run(work) == "done"
    assert not estimate.fits() and estimate.expected() == pytest.approx(2 * SLICE)
    size[0] = 40
    assert estimate.fits()
    size[0] = 40 + 100
    assert not estimate.fits()


def test_what_took_a_little_too_long_is_tried_again_some_time():
    clock = [0.0]
    estimate = Estimate(lambda: 100, SLICE / 100, clock=lambda: clock[0])

    def work():
        clock[0] += 1.5 * SLICE

    assert estimate.fits()
    estimate.run(work)
    assert [estimate.fits() for _ in range(6)] == [False, False, False, False, True, True]


def test_what_has_come_counts_at_its_worst():
    size = [100]
    estimate = Estimate(lambda: size[0], SLICE / 100, clock=lambda: 0.0)
    size[0] = 199
    assert estimate.fits()
    size[0] = 201
    assert not estimate.fits()
    estimate.begin()
    assert estimate.fits()


def test_a_collection_is_tried_where_few_objects_are_left():
    """The number of objects decides, not the process size, which is not smaller yet; no repeat within a burst."""
    clock, objects = [0.0], [50_000]

    def work():
        clock[0] += objects[0] / 50_000 * 2 * SLICE

    estimate = Estimate(lambda: 100, SLICE / 100, lambda: objects[0], lambda: clock[0])
    assert estimate.fits()
    estimate.run(work)
    assert not estimate.fits()
    objects[0] = 5_000
    assert estimate.fits()
    estimate.run(work)
    objects[0] = 50_000
    assert not estimate.fits()


def test_a_collection_is_tried_after_a_burst(memory):
    made = cleanup()
    memory.sizes["in_use"] += 50_000
    assert made._collecting.fits()
    made._collecting.run(lambda: spin(2 * SLICE))
    run(made.steps())
    assert "collect 2" not in memory.done
    memory.sizes["in_use"] -= 48_000
    memory.done, memory.slices = [], 1
    run(made.steps())
    assert memory.done == ["collect 2", "trim", "pools"]


# ---- between two steps ---------------------------------------------------------------------------------------------


class Core:
    def __init__(self):
        self.requests, self.releases = 0, 0

    def stats(self):
        return {"requests": self.requests}

    def again(self):
        asyncio.get_running_loop().call_soon(self.on_quiet)

    def release_soon(self):
        self.releases += 1


def test_the_loop_turns_between_two_steps():
    core, order, told = Core(), [], []

    def steps():
        for number in range(4):
            order.append(number)
            told.append((yield 0.05 if number == 2 else 0))

    async def main():
        slices = core.on_quiet = Slices(asyncio.get_running_loop(), core, steps)
        slices()
        while core.releases == 0:
            order.append("turn")
            if order.count("turn") == 3:
                slices()  # during the pause: it continues, and does not start over
            core.requests = int(3 in order)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert core.releases == 1
    assert [order[order.index(number) + 1] for number in range(4)] == ["turn"] * 4
    assert told == [False, False, False, True]


def test_a_mistake_of_a_step_is_told_and_ends_the_steps():
    core, told = Core(), []

    def steps():
        yield 0
        raise ValueError("a mistake")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        slices = core.on_quiet = Slices(loop, core, steps)
        for number in (1, 2):
            slices()
            while len(told) < number:
                await asyncio.sleep(0)

    asyncio.run(main())
    assert [type(error) for error in told] == [ValueError] * 2


def test_what_is_noted_is_no_new_object(memory):
    """Made during a burst, it would keep one of its arenas alive."""
    made, core = cleanup(), Core()

    async def main():
        slices = core.on_quiet = Slices(asyncio.get_running_loop(), core, made.steps)
        kept = [slices, made, made._collecting, made._trimming, made._looking]
        before = [dict(vars(one)) for one in kept]
        memory.sizes |= {"held": 101 * MIB, "heap": 11 * MIB, "in_use": 110_000}
        core.requests = 100_000
        slices()
        while core.releases == 0:
            await asyncio.sleep(0)
        for one, was in zip(kept, before, strict=True):
            assert all(vars(one)[name] is value for name, value in was.items()), one

    asyncio.run(main())


def test_pools_of_a_real_burst_in_slices():
    """By a program, since it needs an interpreter of its own."""
    program = Path(__file__).parent / "pool_programs.py"
    done = subprocess.run([sys.executable, str(program), "in_slices"], capture_output=True, text=True, timeout=HANG)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
