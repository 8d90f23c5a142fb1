"""What Python code may do when the bridge calls it: comparisons, iterators, hooks, destructors."""

import asyncio
import functools
import socket

from faults import fault, main  # first: it sets the path for the imports below

# isort: split

from bare import BODY, GET, START, Bare, new_core, post, step
from saltare import errors
from saltare._core import Starter, live
from test_websocket import ACCEPT, LEAVE, SHAKE, meet


def raises(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError(f"it raised no {error.__name__}")


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
    """An object dropped while a header list is read may call send() itself: it must see the message already sent."""

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
                core.__init__({}, {}, "")
            return str(self) == str(other)

    opening = []
    core = type(new := new_core()).__new__(type(new))
    new.close()
    raises(RuntimeError, core.__init__, {Name("debug"): 1}, {}, "")
    core.close()
    assert not any(live().values()), live()


class Key:
    """A selector key with a destructor that acts."""

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
        assert list(seen) in ([], [("new", 1)]), seen  # of the turn that dispatched it
        bare.core.unwatch(left.fileno())
        bare.exchanges[n].fail()
        peer.close()


@fault
def a_hook_that_takes_itself_away():
    """With a C object that reads its own state once more after its call."""

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
    """receive() creates its future while the expected event arrives, or while its exchange ends."""
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
    """Like any coroutine, the app's coroutine cannot be stepped, thrown into or closed within its own step."""
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
    main()
