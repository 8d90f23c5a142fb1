"""Writes the tables of options and of other servers' names into docs, or checks that they are up to date.

`options.py [--check] FILE...`; a file has the places of its tables between <!-- options --> and <!-- /options -->, or
<!-- names --> and <!-- /names -->.
"""

import re
import sys
from pathlib import Path

from saltare.options import foreign, listing, meanings


def names() -> str:
    """A row for each name of another server that saltare lacks."""
    head = "| name | of | with saltare |\n|---|---|---|\n"
    rows = sorted(foreign.ROWS, key=lambda row: row.names[0].lstrip("-"))
    return head + "".join(f"| {' | '.join(map(listing.cell, cells(row)))} |\n" for row in rows)


def cells(row: foreign.Row) -> tuple[str, str, str]:
    flags = ", ".join(f"`{name if name.startswith('-') else meanings.flag(name)}`" for name in row.names)
    return flags, ", ".join(foreign.PROGRAMS[letter] for letter in row.programs), row.meaning.advice()


TABLES = {"options": listing.markdown, "names": names}


def with_tables(text: str) -> str:
    marks = re.findall(r"<!-- (\w+) -->", text)
    for name in marks:
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not ended:
            raise SystemExit(f"no {end} after {begin}")
        text = f"{before}{begin}\n\n{TABLES[name]().strip()}\n\n{end}{after}"
    if not marks:
        raise SystemExit("no place for a table in it")
    return text


def main(arguments: list[str]) -> None:
    for path in [Path(one) for one in arguments if one != "--check"]:
        text = path.read_text()
        wanted = with_tables(text)
        if wanted == text:
            continue
        if "--check" in arguments:
            raise SystemExit(f"a table of {path} is out of date: make options")
        path.write_text(wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
