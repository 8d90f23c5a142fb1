"""The name of the process in ps, top and htop."""

from .. import _process

_app = None  # the app's name, if the command line started this process: there we may change the arguments too


def of_command_line(app):
    """This process is `saltare APP`, and its command line may show it."""
    global _app
    _app = app


def set_title(title):
    _process.set_title(title, None if _app is None else f"{title} {_app}")
