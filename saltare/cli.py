"""The command `saltare`: serves, or reports on memory. Launchers in other programs also call `main`."""

from .launch import cli


def main(arguments=None):
    """Runs the command line; see launch.cli.main."""
    return cli.main(arguments, {"memory": memory})


def memory(arguments):
    from .report.command import main

    return main(arguments)
