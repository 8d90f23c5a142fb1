"""The first driver: the core is the selector of an asyncio loop; each wait for events is one turn of the core."""

import select
import selectors
import sys

from .. import cpython


class Selector(cpython.selector_base()):
    """A selector. In its `select` the core writes, waits, reads and dispatches requests.

    Descriptors that the loop registers share the connections' epoll set.
    """

    def __init__(self, core):
        super().__init__()
        self._core = core
        self.select = core.poll  # without a Python frame in between

    def select(self, timeout=None):
        raise NotImplementedError  # shadowed in __init__; here because the base class is abstract

    def register(self, fileobj, events, data=None):
        key = super().register(fileobj, events, data)
        try:
            self._core.watch(key.fd, key.events, key)
        except BaseException:
            super().unregister(fileobj)
            raise
        return key

    def unregister(self, fileobj):
        key = super().unregister(fileobj)
        self._core.unwatch(key.fd)
        return key

    def modify(self, fileobj, events, data=None):
        old = self.get_key(fileobj)
        if (old.events, old.data) == (events, data):
            return old
        key = old._replace(events=events, data=data)
        self._core.watch(key.fd, events, key)
        cpython.replace_key(self, key)
        return key

    def close(self):
        super().close()
        del self.select  # it refers to the core, which refers to the loop


def new_loop(core):
    """An asyncio loop driven by the core."""
    from asyncio import SelectorEventLoop

    return SelectorEventLoop(Selector(core))


# ---- loops that the core cannot drive ----


def unsuitable(name):
    """Why the core cannot drive the loop of that name (--loop) here; None when it can.

    A policy that the app has installed shows which loops the app relies on: uvloop's has no child watcher for
    asyncio's loops. Where `selectors` is patched (gevent), our wait would block all greenlets.
    """
    if name not in ("auto", "asyncio"):
        return f"it is {name}"
    return selectors_patched() or (of_policy() if name == "auto" else None)


def selectors_patched():
    if hasattr(select, "epoll") and selectors.DefaultSelector is getattr(selectors, "EpollSelector", None):
        return None
    by = [module.partition(".")[0] for module in ("gevent.monkey", "eventlet.patcher") if module in sys.modules]
    return f"the module selectors is patched{' by ' + by[0] if by else ''}"


def of_policy():
    """A policy whose loops are not asyncio's, found without making a loop."""
    installed = cpython.installed_policy()
    policy, makers = type(installed), cpython.loop_makers(installed)
    if installed is None or all(getattr(one, "__module__", "").startswith("asyncio.") for one in makers):
        return None
    return f"the policy {policy.__module__}.{policy.__name__} is installed"
