"""The command `saltare`: serves, reports on memory, or runs a program that starts uvicorn by itself. Launchers in other
programs also call `main`.
"""

from .launch import cli


def main(arguments=None):
    """Runs the command line; see launch.cli.main."""
    return cli.main(arguments, {"memory": memory, "as-uvicorn": as_uvicorn})


def memory(arguments):
    from .report.command import main

    return main(arguments)


def as_uvicorn(arguments):
    """In a new interpreter, as the program expects."""
    from .launch.interpreter import become_module

    return become_module("saltare.as_uvicorn", arguments)
