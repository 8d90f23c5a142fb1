"""Loops that are not ours: by name, of the app's policy, or where selectors are patched: per process."""

import sys

from . import _logging
from .errors import ConfigError


def foreign(name):
    """What makes the loop that the core is to be a guest of, the second driver; None: ours, the first driver.

    A policy that the app has installed says which loops the app relies on: with uvloop's there is no watcher of
    children for a loop of asyncio's. Where `selectors` is patched (gevent), a loop of ours would keep all others from
    running.
    """
    if name not in ("auto", "asyncio"):
        return lambda: made_by(name)
    if why := selectors_patched() or (name == "auto" and of_policy()):
        _logging.info(f"the event loop is not saltare's own: {why}")
        from asyncio import new_event_loop

        return new_event_loop
    return None


def selectors_patched():
    import select
    import selectors

    if hasattr(select, "epoll") and selectors.DefaultSelector is getattr(selectors, "EpollSelector", None):
        return None
    by = [module.partition(".")[0] for module in ("gevent.monkey", "eventlet.patcher") if module in sys.modules]
    return f"the module selectors is patched{' by ' + by[0] if by else ''}"


def of_policy():
    """A policy that makes other loops than asyncio's; none is made to find out."""
    from asyncio import events

    policy = type(events._event_loop_policy)
    parts = [getattr(policy, name, None) for name in ("new_event_loop", "_loop_factory")]
    if events._event_loop_policy is None or all(getattr(one, "__module__", "").startswith("asyncio.") for one in parts):
        return None
    return f"the policy {policy.__module__}.{policy.__name__} is installed"


def made_by(name):
    """A new loop of "uvloop" or of "module:factory". ConfigError when there is none to be had."""
    if name == "uvloop":
        try:
            from uvloop import new_event_loop
        except ImportError as error:
            raise ConfigError(f'--loop uvloop needs uvloop: pip install "saltare[uvloop]" ({error})') from None
        return new_event_loop()
    from ._importer import import_target

    loop = import_target(name)()
    if not hasattr(loop, "add_reader"):
        raise ConfigError(f"--loop {name} made a {type(loop).__name__}, which is no event loop")
    return loop
