"""The first driver: the core is the selector of an asyncio loop, so waiting for events is one turn of it: per turn."""

import selectors


class Selector(selectors._BaseSelectorImpl):
    """A selector in whose `select` the core writes, waits, reads and dispatches requests.

    The descriptors that the loop registers lie in the same epoll set as the connections.
    """

    def __init__(self, core):
        super().__init__()
        self._core = core
        self.select = core.poll  # without a frame of Python in between

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
        self._fd_to_key[key.fd] = key
        return key

    def close(self):
        super().close()
        del self.select  # it refers to the core, which refers to the loop


def new_loop(core):
    """An asyncio loop driven by the core."""
    from asyncio import SelectorEventLoop

    return SelectorEventLoop(Selector(core))
