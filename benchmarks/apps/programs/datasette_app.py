"""Datasette with a database of one table."""

import sqlite3
import sys
import tempfile
from pathlib import Path

from datasette.app import Datasette
from datasette.cli import cli

database = Path(tempfile.mkdtemp()) / "things.db"
with sqlite3.connect(database) as connection:
    connection.execute("create table rows (id integer primary key, name text)")
    connection.executemany("insert into rows (name) values (?)", [(f"thing {number}",) for number in range(500)])
connection.close()

if __name__ == "__main__":
    cli(["serve", str(database), "--port", sys.argv[1]])
app = Datasette(files=[str(database)]).app()
