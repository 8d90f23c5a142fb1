"""What to do when the app fails to answer a request."""

from asyncio import CancelledError

from .. import log
from ..errors import ClientDisconnected


async def send_in_loop(send, message):
    """What `send()` returns in another thread: it may be called there, but only the loop may run it."""
    await send(message)


def failed(exchange, scope, error):
    """The app raised. Returns whether its task must raise it too."""
    gone = exchange.gone or exchange.half_closed
    exchange.fail()
    if isinstance(error, CancelledError):
        log.warning(f"cancelled: {described(scope)}")
        return True
    if gone and is_disconnect(error):
        log.debug(f"the peer of {described(scope)} has gone: {type(error).__name__}")
    else:
        log.error(f"exception in the app: {described(scope)}", error)
    return isinstance(error, KeyboardInterrupt)


def incomplete(exchange, scope):
    """The app returned without completing its response; it may do so once it has received a disconnect."""
    started = exchange.started
    exchange.fail()
    write = log.debug if exchange.half_closed else log.error
    if started:
        write(f"the app returned with an incomplete response: {described(scope)}")
    else:
        write(f"the app returned without a response: {described(scope)}")


def described(scope):
    return f"{scope.get('method', 'WebSocket')} {scope['path']!a}"


def is_disconnect(error):
    """Whether a ClientDisconnected of `send()` caused the error."""
    seen = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, ClientDisconnected):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return False
