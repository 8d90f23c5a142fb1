"""What an app may do while the border looks at its objects, each in a process of its own: `python faults.py NAME`. Per call.

A fault that comes back ends the process by a signal, or by an assertion. test_faults.py runs them all, with an allocator
that overwrites what is freed.
"""

import asyncio
import functools
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bridge"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from adversary import AtAllocation, at_each_allocation
from bare import BODY, GET, START, Bare, new_core, post, result, step
from frames import text
from saltare import errors
from saltare._core import Starter, live
from test_websocket import ACCEPT, LEAVE, SHAKE, meet

FAULTS = {}


def fault(function):
    FAULTS[function.__name__] = function
    return function


def raises(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError(f"it raised no {error.__name__}")


# ---- the collector, within an allocation ---------------------------------------------------------------------------------


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
    """A WebSocket ends while the message for what came is made; one and several of them wait."""
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
def another_takes_the_piece_of_a_body_while_its_message_is_made():
    bare = Bare()

    def scenario(nth):
        peer, exchange = bare.ask(post(b"ab", length=4))
        peer.send(b"cd")
        bare.until(lambda: bare.core.stats()["buffers"] == 0)
        for _ in range(3):
            bare.core.poll(0)
        taken = []
        trap = AtAllocation(nth, lambda: taken.append(step(exchange.receive()).value["body"]))
        taken.append(trap.call(step, exchange.receive()).value["body"])
        assert sorted(taken) in ([b"ab"], [b"ab", b"cd"]), taken
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
    import gc

    bare = Bare()
    kinds = {"Exchange", "Socket"}

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
    import gc

    bare = Bare()

    def empty_all():
        """Whatever list is found that somebody is about to fill."""
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


# ---- what C calls ----------------------------------------------------------------------------------------------------


class Same(str):
    """A str that acts when it is compared."""

    act = staticmethod(lambda: None)
    __hash__ = str.__hash__

    def __eq__(self, other):
        act, Same.act = Same.act, lambda: None
        act()
        return str(self) == str(other)


@fault
def a_comparison_accepts_while_the_subprotocol_is_looked_for():
    bare = Bare()
    peer, ws = meet(bare, accept=False)
    Same.act = lambda: ws.send(ACCEPT)
    raises(errors.ResponseError, ws.send, {**ACCEPT, "subprotocol": Same("z")})
    assert peer.read_response().status == 101
    assert Same("a") == "a"


@fault
def headers_accept_while_they_are_read():
    bare = Bare()
    peer, ws = meet(bare, accept=False)

    def headers():
        ws.send(ACCEPT)
        yield b"x-a", b"b"

    raises(errors.MessageOrderError, ws.send, {**ACCEPT, "headers": headers(), "subprotocol": "a"})
    assert peer.read_response().status == 101


@fault
def a_comparison_changes_the_headers_of_an_accept():
    bare = Bare()
    for subprotocol in ("a", "z"):
        peer, ws = meet(bare, accept=False)
        headers = [(b"x-a", b"b"), (b"x-c", b"d")]
        Same.act = lambda headers=headers: headers.__setitem__(0, 1 << 40)
        try:
            ws.send({**ACCEPT, "headers": headers, "subprotocol": Same(subprotocol)})
        except errors.ResponseError:
            ws.fail()
        peer.close()


@fault
def a_repr_frees_the_header_that_it_is_of():
    class Odd:
        def __repr__(self):
            headers.clear()
            return "odd"

    bare = Bare()
    _, exchange = bare.ask()
    headers = [[b"x-a", slice(Odd(), type("Part", (), {})())]]
    raises(errors.MessageTypeError, exchange.send, {**START, "headers": headers})
    exchange.fail()


@fault
def the_end_of_headers_sends():
    """What a list of headers drops when it is read may send in its turn: it must find the message that was sent."""

    class Last(bytes):
        def __del__(self):
            ends.append(1)
            acts.pop()()

    def headers():
        yield b"x-a", Last(b"b")

    acts, ends, errors_ = [], [], []

    def refused(call, message):
        def act():
            try:
                call(message)
            except errors.MessageOrderError as error:
                errors_.append(error)

        acts.append(act)

    bare = Bare()
    _, ws = meet(bare, accept=False)
    refused(ws.send, ACCEPT)
    ws.send({**ACCEPT, "headers": headers()})

    peer, exchange = bare.ask()
    refused(exchange.send, {**BODY, "body": b"", "type": "http.response.trailers"})
    exchange.send({**START, "headers": headers(), "trailers": True})
    exchange.fail()

    peer, exchange = bare.ask()
    exchange.send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
    exchange.send(BODY)
    trailers = {"type": "http.response.trailers", "headers": [(b"x-c", b"d")]}
    refused(exchange.send, trailers)
    exchange.send({**trailers, "headers": headers()})
    answer = peer.read_response()
    assert answer.body == b"ok"
    assert len(ends) == 3 and len(errors_) == 3, (ends, errors_)


@fault
def options_that_open_the_core_they_are_for():
    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            if core.epoll_fd == 0 and not opening:
                opening.append(1)
                core.__init__({}, b"", b"", {}, "")
            return str(self) == str(other)

    opening = []
    core = type(new := new_core()).__new__(type(new))
    new.close()
    raises(RuntimeError, core.__init__, {Name("debug"): 1}, b"", b"", {}, "")
    core.close()
    assert not any(live().values()), live()


class Key:
    """A selector key whose end acts."""

    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


@fault
def the_end_of_a_key_watches_again():
    bare = Bare()
    left, right = socket.socketpair()
    right.send(b"x")
    fd = left.fileno()
    bare.core.watch(fd, 1, Key(lambda: bare.core.watch(fd, 1, "again")))
    bare.core.unwatch(fd)
    assert list(bare.core.poll(1)) == [("again", 1)]

    bare.core.watch(fd, 1, Key(lambda: bare.core.unwatch(fd)))
    bare.core.watch(fd, 1, "new")
    assert list(bare.core.poll(0)) == []
    raises(KeyError, bare.core.unwatch, fd)


@fault
def a_descriptor_changes_hands_in_the_turn_that_reports_it():
    bare = Bare()
    left, right = socket.socketpair()
    right.send(b"x")

    def dispatched(exchange, scope):
        bare.core.unwatch(left.fileno())
        bare.core.watch(left.fileno(), 1, "new")
        bare.exchanges.append(exchange)

    bare.core.dispatch = dispatched
    for n in range(20):
        peer = bare.connect()
        bare.core.poll(0)
        bare.core.watch(left.fileno(), 1, "old")
        assert list(bare.core.poll(1)) == [("old", 1)]
        peer.socket._socket.send(GET)
        while len(bare.exchanges) <= n:
            seen = bare.core.poll(1)
        assert list(seen) in ([], [("new", 1)]), seen  # of the turn that dispatched
        bare.core.unwatch(left.fileno())
        bare.exchanges[n].fail()
        peer.close()


@fault
def a_hook_that_takes_itself_away():
    """With an object of C that looks at itself once more after its call."""

    def ended(name):
        def act():
            delattr(starter, name)

        return functools.lru_cache(maxsize=2)(act)

    async def app(scope, receive, send):
        await send(START)
        await send(BODY)

    loop = asyncio.new_event_loop()
    starter = Starter(app, loop, False, print, print)
    bare = Bare()
    bare.core.dispatch = starter
    starter.collect_every = 1
    for name in ("on_idle", "collect"):
        setattr(starter, name, ended(name))
        peer = bare.connect()
        peer.socket._socket.send(GET)
        bare.core.poll(1)
        bare.core.poll(0.1)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert peer.read_response().status == 200
        assert getattr(starter, name) is None


def waits_for_what(request, end, types):
    """receive() whose future is made while what it waits for comes, or what it is about ends."""
    bare = Bare()
    peer, exchange = bare.ask(request)

    class Future:
        def done(self):
            return self.result

        result = False

        def set_result(self, value):
            self.result = True

        def __await__(self):
            yield self

    def create_future():
        nonlocal end
        act, end = end, lambda exchange: None
        act(exchange)
        return Future()

    bare.core.create_future = create_future
    done = step(exchange.receive())
    if request is SHAKE:
        assert done.value["type"] == "websocket.connect"
        done = step(exchange.receive())
    assert not isinstance(done, Future) or done.done(), "it waits for ever"
    assert isinstance(done, Future) or done.value["type"] == types
    peer.close()


@fault
def a_request_ends_while_receive_begins_to_wait():
    waits_for_what(post(length=3), lambda exchange: exchange.fail(), "http.disconnect")


@fault
def a_websocket_ends_while_receive_begins_to_wait():
    waits_for_what(SHAKE, lambda ws: ws.send(LEAVE), "websocket.disconnect")


@fault
def an_app_that_steps_itself():
    """As any coroutine, the one that a task has of the app cannot be stepped, thrown into or closed within its own step."""
    seen = []

    async def app(scope, receive, send):
        run = asyncio.current_task().get_coro()
        seen.append(scope["path"])
        for call in (lambda: run.send(None), lambda: run.throw(ValueError("thrown")), run.close):
            raises(ValueError, call)
        await send(START)
        await send(BODY)

    def plain(scope, receive, send):
        run = asyncio.current_task().get_coro()
        for call in (lambda: run.send(None), lambda: run.throw(ValueError("thrown")), run.close):
            raises(ValueError, call)
        return app(scope, receive, send)

    import saltare
    from rawsocket import Raw

    for one in (app, plain):
        with saltare.running(one, port=0, lifespan="off") as server, Raw(int(server.url.rpartition(":")[2])) as raw:
            assert raw.get().read_response().body == b"ok"
    assert len(seen) == 2


if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    print("survived")
