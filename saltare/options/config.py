"""The values of the options: all that a serving process needs of the configuration."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

RELOAD_PATIENCE = 2.0  # seconds; ordinary requests take less, and endless streams are cancelled
AT_ONCE = 0.001  # seconds; the shutdown_timeout that cancels requests at once
LIFESPAN_PATIENCE = 30.0  # seconds that the app's lifespan shutdown gets then
WEB_CONCURRENCY = "WEB_CONCURRENCY"  # the variable, and the source of its value


class Config:
    """An attribute per option of table.OPTIONS; `sources` maps each name to the source of its value.

    It does not use the options' table, so a server started by the command line need not load it.
    """

    # How names of other servers were read, and which of that deserves a warning. Empty once the command line has
    # passed the values on.
    notes: "tuple[str, ...]" = ()
    warnings: "tuple[str, ...]" = ()
    request_logger: "str | None" = None  # the logger that gets a record of each request, where one was asked for
    environment: "Mapping[str, str] | None" = None  # variables for the app, unless they are set: of `saltare dev`
    identity: "int | None" = None  # the process that has assumed what has_identity() is about
    opened: "dict[str, list[int]] | None" = None  # sockets that were opened before rights were given up, by their keys
    tickets: "Any" = None  # a process.tickets.Tickets, from which all workers derive the keys of session tickets
    server_logger: "str | None" = None  # the logger for the server's lines, instead of `saltare` and `saltare.error`

    def __init__(self, values: "Mapping[str, Any]", sources: "Mapping[str, str]") -> None:
        vars(self).update(values)
        self.sources = sources

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> "Any": ...

    def values(self) -> "dict[str, Any]":
        return {name: getattr(self, name) for name in self.sources}

    def way(self) -> str:
        """How it listens: "tcp", "uds_path", "fd" or "bind"."""
        return next((name for name in ("uds_path", "fd", "bind") if getattr(self, name) not in (None, ())), "tcp")

    def supervised(self) -> bool:
        """Whether a master is needed: for several workers, or to replace the only one."""
        replaced = self.limit_max_requests or self.limit_max_rss or self.limit_worker_lifetime or self.worker_timeout
        return self.workers != 1 or self.reload or bool(replaced)

    def preloads(self) -> bool:
        """Whether the master imports the app, not each worker; with "auto": unless the import starts threads."""
        return bool(self.preload) and not self.reload

    def patience(self) -> float:
        """Seconds that requests in progress get to finish after a stop; 0: no limit.

        With --reload somebody waits for the restart, so the default is shorter.
        """
        if self.reload and self.sources["shutdown_timeout"] == "default":
            return RELOAD_PATIENCE
        return self.shutdown_timeout

    def lifespan_patience(self) -> float:
        """Seconds that the app's lifespan shutdown gets; 0: no limit."""
        return LIFESPAN_PATIENCE if self.shutdown_timeout == AT_ONCE else self.patience()

    def scheme(self) -> str:
        """Of its addresses."""
        return "https" if self.ssl_certfile else "http"

    def counts(self) -> bool:
        """Whether requests are counted for the metrics."""
        return self.metrics_path is not None or self.status_path is not None

    def counts_addresses(self) -> bool:
        """Whether a limit counts by the client's address, so that workers need a table of addresses."""
        return bool(self.max_connections_per_ip or self.rate_limit_per_sec)

    def has_identity(self) -> bool:
        """Whether the process changes its user, group or umask, or writes a pid file."""
        return (self.user, self.group, self.umask, self.pid) != (None, None, None, None)

    def stay_alone(self) -> None:
        """One process, if only WEB_CONCURRENCY asks for several: for callers whose server is one process."""
        if self.sources["workers"] == WEB_CONCURRENCY:
            self.workers = 1

    def uses(self, technique: str) -> bool:
        """Whether a memory technique is on, by its name in techniques.TECHNIQUES."""
        from .techniques import is_on

        return is_on(self, technique)

    def shares_heap(self) -> bool:
        """Whether workers share the master's heap, beyond what fork() shares."""
        return self.preloads() and self.uses("shared-heap")

    def __repr__(self) -> str:
        given = (
            f"{name}={'(hidden)' if 'password' in name else repr(getattr(self, name))}"
            for name, source in self.sources.items()
            if source != "default"
        )
        return f"Config({', '.join(given)})"
