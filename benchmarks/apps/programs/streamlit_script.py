"""The Streamlit script."""

import streamlit

streamlit.title("Hello")
