"""Writes the table of options into a file, or checks that it is up to date: `options.py [--check] FILE`."""

import sys
from pathlib import Path

from saltare.options.listing import markdown

BEGIN, END = "<!-- options -->", "<!-- /options -->"


def with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"no {BEGIN} ... {END} to write the options table between")
    return f"{before}{BEGIN}\n\n{markdown().strip()}\n\n{END}{after}"


def main(arguments: list[str]) -> None:
    path = Path(arguments[-1])
    text = path.read_text()
    wanted = with_table(text)
    if wanted == text:
        return
    if "--check" in arguments:
        raise SystemExit(f"the options table of {path} is out of date: make options")
    path.write_text(wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
