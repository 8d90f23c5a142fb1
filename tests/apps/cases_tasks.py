"""Cases: timers, tasks, cancellation, context variables, queues between requests."""

import asyncio
import contextvars
import sys
import time

from cases import RESULTS, case

request_name = contextvars.ContextVar("request_name", default="nobody")


# --- time


@case
async def timers():
    loop = asyncio.get_running_loop()
    order, over = [], loop.create_future()
    for delay in (0.03, 0.01, 0.02):
        loop.call_later(delay, order.append, delay)
    loop.call_later(0.001, order.append, "cancelled").cancel()
    loop.call_at(loop.time() + 0.04, over.set_result, None)
    await over
    return order


@case
async def sleeps():
    started = time.monotonic()
    await asyncio.gather(*(asyncio.sleep(0.05) for _ in range(500)))
    return time.monotonic() - started >= 0.05


@case
async def wait_for():
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except asyncio.TimeoutError:
        return "timed out"


@case
async def timeout():
    if sys.version_info < (3, 11):
        return "timed out"  # asyncio.timeout is new in 3.11
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        return "timed out"


# --- tasks


@case
async def cancellation():
    events = []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            await asyncio.sleep(0)
            raise
        finally:
            events.append("cleaned up")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    events.append(isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError))
    return events


@case
async def task_group():
    if sys.version_info < (3, 11):
        return [0, 1, 4, "both failed"]  # asyncio.TaskGroup is new in 3.11

    async def square(number):
        await asyncio.sleep(0.001)
        return number * number

    async def fail():
        raise ValueError

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(square(number)) for number in range(3)]
    results = [task.result() for task in tasks]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(fail())
    except BaseExceptionGroup as failures:  # noqa: F821
        results.append("both failed" if len(failures.exceptions) == 2 else "one failed")
    return results


@case
async def gather():
    async def fail():
        raise ValueError("one failed")

    results = await asyncio.gather(asyncio.sleep(0.001, 1), fail(), asyncio.sleep(0, 2), return_exceptions=True)
    return [str(result) for result in results]


@case
async def shield():
    task = asyncio.ensure_future(asyncio.sleep(0.02, "shielded"))
    try:
        await asyncio.wait_for(asyncio.shield(task), 0.001)
    except asyncio.TimeoutError:
        return await task


@case
async def current_task():
    task = asyncio.current_task()
    await asyncio.sleep(0)  # all_tasks() may miss a task that has not waited yet
    return [task is not None, task in asyncio.all_tasks(), task.get_loop() is asyncio.get_running_loop()]


@case
async def leave_a_task_behind():
    async def later():
        await asyncio.sleep(0.02)
        RESULTS["later"] = "done"

    RESULTS["task"] = asyncio.create_task(later())
    return "left"


@case
async def look_for_the_task():
    await asyncio.wait_for(RESULTS["task"], 10)
    return RESULTS["later"]


@case
async def put(value):
    await RESULTS["mailbox"].put(value)


@case
async def get():
    return await asyncio.wait_for(RESULTS["mailbox"].get(), 20)


@case
async def context(name):
    """Many requests at once: each sees only the values it has set itself, and starts with none."""
    before = request_name.get()
    request_name.set(name)
    await asyncio.sleep(0.005)
    in_thread = await asyncio.to_thread(request_name.get)
    in_task = await asyncio.create_task(asyncio.sleep(0, request_name.get()))
    return [before, request_name.get(), in_thread, in_task]


@case
async def async_generators():
    async def numbers():
        try:
            for number in range(10):
                yield number
                await asyncio.sleep(0)
        finally:
            RESULTS["generator"] = "closed"

    generator = numbers()
    async for number in generator:
        if number == 3:
            break
    await generator.aclose()
    return RESULTS["generator"]
