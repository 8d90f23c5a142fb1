"""Formats of access logs of gunicorn, hypercorn and granian, as ours."""

import re

from .values import Refused

ATOM = re.compile(r"%\(([^)]*)\)[-+0-9.]*[a-zA-Z]|%%|([{}])")
LINE = re.compile(r"\{([^}]+)\}i")

# gunicorn's and hypercorn's, then granian's.
ATOMS = {
    "h": "{client}",
    "l": "-",
    "u": "-",
    "t": "[{time_clf}]",
    "r": "{method} {path} {protocol}",
    "R": "{method} {path} {protocol}",
    "m": "{method}",
    "U": "{path_only}",
    "Uq": "{path}",
    "q": "{query}",
    "H": "{protocol}",
    "s": "{status}",
    "st": "{reason}",
    "B": "{bytes}",
    "b": "{bytes}",
    "f": "{referer}",
    "a": "{user_agent}",
    "M": "{duration_ms}",
    "D": "{duration_us}",
    "L": "{duration_s}",
    "p": "<{pid}>",
    "addr": "{client}",
    "time": "{time}",
    "dt_ms": "{duration_ms}",
    "status": "{status}",
    "path": "{path_only}",
    "query_string": "{query}",
    "method": "{method}",
    "protocol": "{protocol}",
}
INSTEAD = {
    "T": "write %(L)s, seconds with a fraction",
    "S": "leave it out; the proxy knows the scheme",
    "scheme": "leave it out; the proxy knows the scheme",
}


def translated(text):
    """The same format with our fields. Refused: an atom has no such field."""
    return ATOM.sub(of_atom, text)


def of_atom(match):
    if match[0] == "%%":
        return "%"
    if match[2]:
        return match[2] * 2
    atom = match[1]
    if atom in ATOMS:
        return ATOMS[atom]
    if line := LINE.fullmatch(atom):
        return f"{{header:{line[1].lower()}}}"
    advice = INSTEAD.get(atom, "leave it out; of a request there are fields, as %({accept}i)s, and of a response none")
    raise Refused(f"there is no %({atom})s in this access log: {advice}")
