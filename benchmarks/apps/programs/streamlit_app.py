"""A Streamlit script, served as an ASGI app."""

from pathlib import Path

from streamlit.starlette import App

app = App(str(Path(__file__).with_name("streamlit_script.py")))
