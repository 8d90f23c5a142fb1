"""What a master opens before it forks, and what its workers inherit."""

from ..process.attempt import Spare
from .counters import Counters

SPARE_SLOTS = 16  # for workers leaving while their successors serve, and for SIGTTIN


class Resources:
    """The listening sockets, the table of counters, the secret of tickets and spare descriptors of one master."""

    def __init__(self):
        self.listeners = []
        self.counters = self.spare = self.tickets = None

    def open(self, config, inherited, workers):
        """Opens what is not open yet, or takes it over from the previous program. May be repeated after an OSError."""
        if not self.listeners:
            from ..listen.open import open_or_keep

            self.listeners = open_or_keep(config, inherited.get("listeners"))
        if self.spare is None:
            self.spare = Spare()
        if self.counters is None:
            self.counters = table(config, inherited, workers)
        if config.ssl_certfile and self.tickets is None:
            from ..process.tickets import Tickets

            self.tickets = Tickets(inherited.get("tickets"))
        if config.counts_addresses() and self.counters.addresses is None:
            from .addresses import Addresses

            self.counters.addresses = Addresses(self.counters.slots)

    def handed_over(self):
        """(state, descriptors) for the next program."""
        listeners = {}
        for one in self.listeners:
            listeners.setdefault(one.key, []).append(one.fileno())
        fd, bells = self.counters.handed_over()
        descriptors = [one.fileno() for one in self.listeners]
        state, descriptors = {"listeners": listeners, "counters": (fd, bells)}, [*descriptors, fd, *bells]
        if self.tickets is not None:
            state["tickets"] = self.tickets.fileno()
            descriptors.append(self.tickets.fileno())
        return state, descriptors

    def leave_listeners(self, attempts):
        """The workers close their own copies once the backlog is empty; then new connections are refused."""
        for listener in self.listeners:
            attempts.do("closing a listener", listener.close)

    def close(self, attempts):
        if self.counters is not None:
            attempts.do("closing the table of counters", self.counters.close)
        if self.spare is not None:
            self.spare.close()


def table(config, inherited, workers):
    layout = figures(config)
    if "counters" in inherited:
        kept = Counters.inherited(*inherited["counters"], layout)
        if kept is not None:
            return kept
        for worker in workers:
            worker.slot = 0  # its slot is in the old table
    return Counters.made(workers.wanted * 2 + SPARE_SLOTS, layout)


def figures(config):
    """Identifies the layout of the metrics' figures; 0: metrics are off. Programs with other buckets must not add to
    them.
    """
    if not config.counts():
        return 0
    from zlib import crc32

    return crc32(repr(config.metrics_buckets).encode()) or 1
