"""A marimo notebook, served to be run."""

from pathlib import Path

import marimo

notebook = Path(__file__).with_name("marimo_notebook.py")
app = marimo.create_asgi_app(include_code=True).with_app(path="", root=str(notebook)).build()
