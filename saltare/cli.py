"""The command `saltare`: serves, or reports on a command line or on memory. Launchers in other programs call `main`."""

from .launch import cli


def main(arguments=None):
    """Runs the command line; see launch.cli.main."""
    return cli.main(arguments, {"doctor": doctor, "memory": memory})


def doctor(arguments):
    from .report.doctor import main

    return main(arguments)


def memory(arguments):
    from .report.command import main

    return main(arguments)
