"""The command `saltare`: serves, reports on a command line or on memory, or runs a program that starts uvicorn by
itself. Launchers in other programs call `main`.
"""

from .launch import cli


def main(arguments=None):
    """Runs the command line; see launch.cli.main."""
    return cli.main(arguments, {"doctor": doctor, "memory": memory, "as-uvicorn": as_uvicorn})


def doctor(arguments):
    from .report.doctor import main

    return main(arguments)


def memory(arguments):
    from .report.command import main

    return main(arguments)


def as_uvicorn(arguments):
    """In a new interpreter, as the program expects."""
    from .launch.interpreter import become_module

    return become_module("saltare.as_uvicorn", arguments)
