"""The name of the process in ps, top and htop."""

from .. import _process

_app = None  # its name, in a process that the command line started: there the arguments too are ours to change


def of_command_line(app):
    """This process is `saltare APP`, so that its command line may say so."""
    global _app
    _app = app


def set_title(title):
    _process.set_title(title, None if _app is None else f"{title} {_app}")
