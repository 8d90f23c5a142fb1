"""Compares saltare's reading of each case with every peer's, and writes the table of differences."""

import importlib
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from programs import version

HERE = Path(__file__).parent
TABLE = HERE / "differences.md"
REASONS = HERE / "reasons.toml"
SHOWN = 30  # octets of a target or a body
COMES_FROM = {"nginx proxy": "nginx", "hyper": "granian", "llhttp": "httptools"}

HEADER = """\
# Where readers of HTTP/1.1 differ

Made by `make compliance ARGS=--regenerate` from {cases} cases of `tests/corpus` and `cases_desync.py`; the {same} that all read alike are not listed.

Read by saltare and by {peers}.

A reading is the requests that were accepted (method, target, body), then how it ended: "refused" with a status, "dropped" (closed
without an answer), "closes" and "ready" (the last request has ended, and the connection with it or not), or "wants more" (what
is sent next is taken for a part of the last request). Readings that differ only in the status of a refusal, or in closing, count as alike.
"""
LAXER = """\
## Accepted by saltare, refused by others

| cases | saltare | others | why saltare accepts it |
| --- | --- | --- | --- |
"""
OTHER = """\
## Accepted by saltare and read otherwise by others

| cases | saltare | others | why saltare is right |
| --- | --- | --- | --- |
"""
STRICTER = """\
## Refused by saltare alone, or by saltare and some

| cases | saltare | others that do not refuse | why saltare refuses it |
| --- | --- | --- | --- |
"""


def verdict(ours, theirs):
    """How saltare's reading compares with a peer's: "same", "stricter", "laxer" or "other".

    Stricter: saltare refuses where the peer goes on; laxer: the opposite; both after the same requests. All else,
    such as two requests where the peer sees one, or a different end, is "other".
    """
    if ours.means(theirs):
        return "same"
    shared = min(len(ours.requests), len(theirs.requests))
    if ours.requests[:shared] == theirs.requests[:shared]:
        if ours.refuses and len(ours.requests) == shared:
            return "stricter"
        if theirs.refuses and len(theirs.requests) == shared:
            return "laxer"
    return "other"


class Difference(NamedTuple):
    case: str
    peer: str
    verdict: str


def compare(readings):
    """A Difference for every reading that is not saltare's."""
    return [
        Difference(case, peer, found)
        for case, ours in readings["saltare"].items()
        for peer in readings
        if case in readings[peer] and (found := verdict(ours, readings[peer][case])) != "same"
    ]


def load_reasons():
    """{(case, peer): why} of reasons.toml."""
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    entries = tomllib.loads(REASONS.read_text())["reason"]
    return {
        (case, peer): " ".join(entry["why"].split())
        for entry in entries
        for case in entry["cases"]
        for peer in entry["peers"]
    }


def unexplained(differences, reasons):
    """(unexplained differences in which saltare is not the stricter one, reasons that no difference needs)"""
    need = {(d.case, d.peer): d for d in differences if d.verdict != "stricter"}
    return [need[key] for key in need if key not in reasons], [key for key in reasons if key not in need]


def quoted(octets):
    text = octets if isinstance(octets, str) else octets.decode("latin-1")
    text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(octets)} octets)"
    fence = "``" if "`" in shown else "`"
    return f"{fence}{shown}{fence}".replace("|", "\\|")


def told(reading):
    """A reading in words."""
    requests = [
        quoted(f"{method} {target}") + (f" {quoted(body)}" if body else "") for method, target, body in reading.requests
    ]
    return "; ".join([*requests, reading.end])


def grouped(readings, peers, case):
    """The distinct readings of a case in words, each with the peers that have it."""
    groups = defaultdict(list)
    for peer in peers:
        groups[told(readings[peer][case])].append(peer)
    return " <br> ".join(f"{', '.join(names)}: {words}" for words, names in groups.items())


def rows(readings, differences, why):
    """The lines of one part of the table; cases with equal readings and the same reason share a line."""
    peers = defaultdict(list)
    for difference in differences:
        peers[difference.case].append(difference.peer)
    lines = defaultdict(list)
    for case, names in peers.items():
        ours = told(readings["saltare"][case])
        lines[f"| {ours} | {grouped(readings, names, case)} | {why(case, names)} |"].append(case)
    return "".join(f"| {' '.join(cases)} {rest}\n" for rest, cases in lines.items()) or "| none | | | |\n"


def peer_versions(readings):
    names = [peer for peer in readings if peer != "saltare"]
    sources = [COMES_FROM.get(peer, peer) for peer in names]
    return ", ".join(
        f"{peer} {version(peer)}" if peer == source else f"{peer} ({source} {version(source)})"
        for peer, source in zip(names, sources, strict=True)
    )


def table(readings, said, reasons):
    """The text of differences.md."""
    differences = compare(readings)
    cases = len(readings["saltare"])

    def explained(case, peers):
        return " ".join(dict.fromkeys(reasons.get((case, peer), "?") for peer in peers))

    def part(kind, why):
        return rows(readings, [d for d in differences if d.verdict == kind], why)

    header = HEADER.format(cases=cases, same=cases - len({d.case for d in differences}), peers=peer_versions(readings))
    parts = [
        header,
        LAXER + part("laxer", explained),
        OTHER + part("other", explained),
        STRICTER + part("stricter", lambda case, peers: said.get(case, "")),
    ]
    return "\n".join(parts)
