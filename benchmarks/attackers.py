"""Thousands of peers that send as slowly as they can, and how the server ends them.

One process and one thread, at the lowest priority, so that it does not disturb the measurement. It prints "up" once
every attacker has begun, waits until the server has ended them all, and prints the outcome as JSON,
{kind: {"begun", "refused", "other", "first", "last"}}: how many got a 408 and the end of the connection, how many
anything else, and the shortest and longest time in seconds until then. With --again an ended attacker begins anew,
until the end of standard input.
"""

import argparse
import heapq
import json
import os
import resource
import select
import socket
import struct
import sys
import time

PATIENCE = 30  # seconds that an attacker waits for its end before it counts as "other"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # thousands of sockets must not sit in TIME_WAIT
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
BATCH = 50  # connections begun between two polls of the others; fits every backlog


class Attacker:
    """One connection. It sends `begun`, then a `byte` now and then.

    The server's timeout runs from the last byte with `anew`, otherwise from the first.
    """

    byte = b""
    anew = False

    def __init__(self, port):
        self.since = self.born = time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.setblocking(False)
        self.heard = b""
        self.say(self.begun)

    def say(self, data):
        """The server may already have closed the connection."""
        now = time.monotonic()
        try:
            self.socket.send(data)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return
        if self.anew:
            self.since = now

    def listen(self):
        """True when the connection has ended."""
        try:
            piece = self.socket.recv(4096)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        self.heard += piece
        return not piece

    def refused(self):
        return self.heard.startswith(b"HTTP/1.1 408 ") and b"\r\nconnection: close\r\n" in self.heard.lower()


class Head(Attacker):
    """A head that never ends."""

    begun = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "
    byte = b"x"


class Declared(Attacker):
    """The beginning of a body with a declared length, then nothing."""

    begun = POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 10
    anew = True


class Chunked(Attacker):
    """The beginning of a chunk, then nothing."""

    begun = POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 10
    anew = True


class Silent(Attacker):
    """A declared body that is never sent."""

    begun = POST + b"Content-Length: 1000\r\n\r\n"
    anew = True


class Trickling(Declared):
    """A body that sends `bytes` more bytes, then nothing."""

    byte = b"x"
    bytes = 2


class Attack:
    """All attackers. `pause`: seconds between two bytes. `again`: an ended attacker begins anew, until `over`."""

    def __init__(self, options):
        self.options = options
        self.poll = select.epoll()
        self.attackers = {}
        self.due = []  # heap of (when, descriptor, attacker): the next byte
        bodies = (Declared, Chunked, Silent, Trickling)
        self.waiting = [Head] * options.heads + [bodies[i % len(bodies)] for i in range(options.bodies)]
        self.found = {}
        self.over = not options.again

    def run(self):
        if not self.over:
            self.poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        spread = self.options.spread / max(len(self.waiting), 1)
        began, told, count = time.monotonic(), False, 0
        while self.attackers or self.waiting or not self.over:
            now = time.monotonic()
            for _ in range(BATCH):
                if not self.waiting or (not told and now < began + count * spread):
                    break
                self.begin(self.waiting.pop())
                count += 1
            if not self.waiting and not told:
                told = True
                print("up", flush=True)
            self.listen(0.01 if self.waiting else self.until_due())
            self.trickle()
            self.lose_patience()
        return self.found

    def begin(self, kind):
        attacker = kind(self.options.port)
        self.tally(kind)["begun"] += 1
        self.attackers[attacker.socket.fileno()] = attacker
        self.poll.register(attacker.socket, select.EPOLLIN | select.EPOLLRDHUP)
        attacker.left = getattr(kind, "bytes", sys.maxsize)
        self.plan(attacker)

    def tally(self, kind):
        fresh = {"begun": 0, "refused": 0, "other": 0, "first": None, "last": None}
        return self.found.setdefault(kind.__name__.lower(), fresh)

    def plan(self, attacker):
        if attacker.byte and attacker.left:
            when = time.monotonic() + self.options.pause
            heapq.heappush(self.due, (when, attacker.socket.fileno(), id(attacker)))

    def until_due(self):
        return min(max(self.due[0][0] - time.monotonic(), 0), 0.5) if self.due else 0.5

    def listen(self, timeout):
        for fd, _ in self.poll.poll(timeout):
            if fd == 0:
                self.heed()
            elif (attacker := self.attackers[fd]).listen():
                self.end(attacker, refused=attacker.refused())

    def heed(self):
        """Handles the end of standard input; ignores its content."""
        if not os.read(0, 4096):
            self.poll.unregister(0)
            self.over, self.waiting = True, []

    def end(self, attacker, refused):
        tally, took = self.tally(type(attacker)), time.monotonic() - attacker.since
        tally["refused" if refused else "other"] += 1
        if refused:
            tally["first"] = took if tally["first"] is None else min(tally["first"], took)
            tally["last"] = took if tally["last"] is None else max(tally["last"], took)
        del self.attackers[attacker.socket.fileno()]
        attacker.socket.close()
        if not self.over:
            self.waiting.append(type(attacker))

    def trickle(self):
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, fd, who = heapq.heappop(self.due)
            attacker = self.attackers.get(fd)
            if attacker is not None and id(attacker) == who:
                attacker.left -= 1
                attacker.say(attacker.byte)
                self.plan(attacker)

    def lose_patience(self):
        """Checks from the oldest on: attackers are in order of their start."""
        now = time.monotonic()
        while self.attackers:
            oldest = next(iter(self.attackers.values()))
            if oldest.born + self.options.patience > now:
                return
            self.end(oldest, refused=False)


def arguments():
    parser = argparse.ArgumentParser(description="Attack a server with peers that send slowly.")
    parser.add_argument("port", type=int)
    parser.add_argument("--heads", type=int, default=0, help="peers whose head never ends")
    parser.add_argument("--bodies", type=int, default=0, help="peers whose body never ends")
    parser.add_argument("--pause", type=float, default=4, help="seconds between two bytes")
    parser.add_argument("--spread", type=float, default=0, help="seconds over which the first ones begin")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds to wait to be ended")
    parser.add_argument("--again", action="store_true", help="who is ended begins anew")
    return parser.parse_args()


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print(json.dumps(Attack(arguments()).run()))


if __name__ == "__main__":
    main()
