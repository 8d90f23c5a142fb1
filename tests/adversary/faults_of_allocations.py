"""A finalizer acts while the bridge allocates: the collector runs within each allocation of a call in turn."""

import asyncio
import gc
import socket

from faults import fault, main  # first: it sets the path for the imports below

# isort: split

from adversary import AtAllocation, at_each_allocation
from bare import BODY, GET, START, Bare, Done, post, result, step
from frames import text
from saltare._core import Starter, live
from test_websocket import LEAVE, SHAKE, meet


@fault
def a_reader_is_removed_while_it_is_reported():
    bare = Bare()

    def scenario(nth):
        left, right = socket.socketpair()
        bare.core.watch(left.fileno(), 1, bytearray(100))
        right.send(b"x")
        trap = AtAllocation(nth, lambda: bare.core.unwatch(left.fileno()))
        for key, mask in trap.call(bare.core.poll, 0.1):
            assert (key, mask) == (bytearray(100), 1)
        if not trap.reached:
            bare.core.unwatch(left.fileno())
        left.close(), right.close()
        return trap.reached

    at_each_allocation(scenario)


def messages_and(end):
    """A websocket ends while the message for a frame is created, with one receiver waiting and with several."""
    bare = Bare()
    for n in (1, 20):

        def scenario(nth, n=n):
            peer, ws = meet(bare)
            peer.send(b"".join(text("message" * 100) for _ in range(n)))
            bare.until(lambda: bare.core.stats()["buffers"] == 0)
            for _ in range(3):
                bare.core.poll(0)
            trap = AtAllocation(nth, lambda: end(ws))
            message = trap.call(step, ws.receive()).value
            assert message["type"] in ("websocket.receive", "websocket.disconnect"), message
            if message["type"] == "websocket.receive":
                assert message["text"] == "message" * 100
            peer.close()
            return trap.reached

        at_each_allocation(scenario)


@fault
def a_websocket_is_closed_while_its_message_is_made():
    messages_and(lambda ws: ws.send(LEAVE))


@fault
def a_websocket_fails_while_its_message_is_made():
    messages_and(lambda ws: ws.fail())


@fault
def another_takes_the_message_while_it_is_made():
    bare = Bare()
    taken = []

    def scenario(nth):
        peer, ws = meet(bare)
        peer.send(b"".join(text(str(number)) for number in range(20)))
        bare.until(lambda: bare.core.stats()["buffers"] == 0)
        for _ in range(3):
            bare.core.poll(0)
        taken.clear()
        trap = AtAllocation(nth, lambda: taken.append(result(ws.receive())["text"]))
        taken.append(trap.call(step, ws.receive()).value["text"])
        assert len(set(taken)) == len(taken), taken
        peer.close()
        return trap.reached

    at_each_allocation(scenario)


@fault
def another_takes_the_body_while_its_message_is_made():
    """A late caller waits."""
    bare = Bare()
    taken = []

    def take(done):
        if isinstance(done, Done):
            taken.append(done.value["body"])

    def scenario(nth):
        peer, exchange = bare.ask(post(b"ab", length=6))
        peer.send(b"cd")
        bare.until(lambda: bare.core.stats()["buffers"] == 0)
        for _ in range(3):
            bare.core.poll(0)
        taken.clear()
        trap = AtAllocation(nth, lambda: take(step(exchange.receive())))
        take(trap.call(step, exchange.receive()))
        assert taken in ([b"abcd"], [b"ab"]), taken
        bare.answer(exchange)
        peer.close()
        return trap.reached

    at_each_allocation(scenario)


@fault
def the_state_is_replaced_while_it_is_copied():
    bare = Bare()

    def scenario(nth):
        state = {f"a name that is not a constant {i}": i for i in range(1000)}
        for name in list(state)[:900]:
            del state[name]
        bare.core.state = state
        del state
        peer, n = bare.connect(), len(bare.scopes)
        bare.core.poll(0)
        peer.socket._socket.send(GET)
        trap = AtAllocation(nth, lambda: setattr(bare.core, "state", {"new": 1}))
        trap.call(bare.core.poll, 1)
        bare.until(lambda: len(bare.scopes) > n)
        bare.exchanges[-1].fail()
        assert len(bare.scopes[-1]["state"]) in (1, 100), bare.scopes[-1]["state"]
        peer.close()
        return trap.reached

    at_each_allocation(scenario, 80)


@fault
def an_exchange_ends_while_it_is_made():
    bare = Bare()
    kinds = {"Exchange", "WebSocket"}

    def end_all():
        for one in gc.get_objects():
            if type(one).__name__ in kinds:
                one.fail()

    for request in (GET, post(b"abc"), post(b"abc", length=6), SHAKE):

        def scenario(nth, request=request):
            peer, n = bare.connect(), len(bare.scopes)
            bare.core.poll(0)
            peer.socket._socket.send(request)
            trap = AtAllocation(nth, end_all)
            trap.call(bare.core.poll, 1)
            bare.until(lambda: len(bare.scopes) > n)
            bare.exchanges[-1].fail()
            step(bare.exchanges[-1].receive())
            peer.close()
            return trap.reached

        at_each_allocation(scenario, 80)
    bare.close()
    gc.collect()
    assert not any(live().values()), live()


@fault
def lists_are_emptied_while_a_scope_is_made():
    bare = Bare()

    def empty_all():
        """The finalizer changes every list that it finds while another function is about to fill it."""
        for one in gc.get_objects():
            if type(one) is list and len(one) == FIELDS:
                one.clear()

    FIELDS = 37
    request = GET[:-2] + b"".join(b"X-%d: x\r\n" % i for i in range(FIELDS - 1)) + b"\r\n"

    def scenario(nth):
        for ours in (bare.exchanges, bare.scopes, bare.peers):
            ours.clear()
        peer, n = bare.connect(), 0
        bare.core.poll(0)
        peer.socket._socket.send(request)
        trap = AtAllocation(nth, empty_all)
        trap.call(bare.core.poll, 1)
        bare.until(lambda: len(bare.scopes) > n)
        assert len(bare.scopes[-1]["headers"]) in (0, FIELDS)
        bare.exchanges[-1].fail()
        peer.close()
        return trap.reached

    at_each_allocation(scenario, 200)


@fault
def a_finalizer_starts_a_task_while_that_of_a_request_is_made():
    tasks = []

    async def app(scope, receive, send):
        ran.append(scope["path"])
        await send(START)
        await send(BODY)

    async def other():
        ran.append("other")
        await asyncio.sleep(1000)

    ran = []
    loop = asyncio.new_event_loop()
    starter = Starter(app, loop, True, lambda *_: print(*_) or False, print)
    bare = Bare()
    bare.core.dispatch, bare.core.create_future = starter, loop.create_future

    def scenario(nth):
        peer = bare.connect()
        bare.core.poll(0)
        peer.socket._socket.send(GET)
        ran.clear()
        trap = AtAllocation(nth, lambda: tasks.append(loop.create_task(other())))
        asyncio.events._set_running_loop(loop)
        try:
            trap.call(bare.core.poll, 1)
        finally:
            asyncio.events._set_running_loop(None)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert peer.read_response().status == 200
        assert ran.count("/") == 1 and ran.count("other") == trap.reached, ran
        assert set(tasks) <= asyncio.all_tasks(loop), "a task is not in asyncio's list"
        while tasks:
            tasks.pop().cancel()
        peer.close()
        return trap.reached

    at_each_allocation(scenario, 200)


if __name__ == "__main__":
    main()
