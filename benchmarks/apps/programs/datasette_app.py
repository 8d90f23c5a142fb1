"""Datasette with a database of one table."""

import sqlite3
import tempfile
from pathlib import Path

from datasette.app import Datasette

database = Path(tempfile.mkdtemp()) / "things.db"
with sqlite3.connect(database) as connection:
    connection.execute("create table rows (id integer primary key, name text)")
    connection.executemany("insert into rows (name) values (?)", [(f"thing {number}",) for number in range(500)])
connection.close()

app = Datasette(files=[str(database)]).app()
