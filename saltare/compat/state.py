"""What programs look at in a running server: its listening sockets, connections, requests and lifespan."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from asyncio import Task
    from collections.abc import Sequence
    from typing import Any


class ListeningServer:
    """One of `server.servers`, for `servers[0].sockets[0].getsockname()`."""

    def __init__(self, sock: "socket.socket") -> None:
        self._socket = sock

    @property
    def sockets(self) -> "tuple[socket.socket, ...]":
        return (self._socket,) if self.is_serving() else ()

    def is_serving(self) -> bool:
        return self._socket.fileno() >= 0


class ServerState:
    """`server.server_state`."""

    def __init__(self) -> None:
        self.engine: Any = None  # an Embedded, while it runs
        self.default_headers: list[tuple[bytes, bytes]] = []
        self._before = 0  # requests of the runs that have ended

    @property
    def total_requests(self) -> int:
        """Of all runs."""
        return self._before + self._figure("requests")

    def keep_count(self) -> None:
        """A run ends, and its core with it."""
        self._before, self.engine.core = self.total_requests, None

    @property
    def connections(self) -> "Sequence[int]":
        """As many numbers as there are connections: they are the core's, and no objects."""
        return range(self._figure("connections"))

    @property
    def tasks(self) -> "set[Task[None]]":
        starter = self.engine.starter if self.engine else None
        return set(starter.tasks.values()) if starter else set()

    def _figure(self, name: str) -> int:
        core = self.engine.core if self.engine else None
        return core.stats()[name] if core else 0


class LifespanState:
    """`server.lifespan`."""

    def __init__(self, config: "Any" = None) -> None:
        self.engine: Any = None  # an Embedded, once it runs
        self.should_exit = False  # the app's start-up failed
        self.startup_failed = False
        self.error_occured = False

    @property
    def state(self) -> "dict[str, Any]":
        lifespan = self.engine.lifespan if self.engine else None
        return lifespan.state if lifespan else {}

    @property
    def shutdown_failed(self) -> bool:
        lifespan = self.engine.lifespan if self.engine else None
        return lifespan is not None and lifespan.shutdown_failed

    def failed(self) -> None:
        self.should_exit = self.startup_failed = self.error_occured = True
