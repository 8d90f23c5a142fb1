"""How this process was started, and whether another program has left it something: per process.

What follows from it is in _handover.py, which few processes need.
"""

import os
import sys

STATE = "_SALTARE_HANDOVER"  # in the environment, pid:descriptor
MASTERS = ":master"  # behind it, when a master has left it
TRIAL = "_SALTARE_TRIAL"  # the pid of who wants to know


def origin():
    """(arguments, environment, folder) of this process, to be asked for before anything has changed them."""
    return list(sys.orig_argv), dict(os.environ), os.getcwd()


def is_successor():
    """Whether there is something to receive, or to try out."""
    return STATE in os.environ or TRIAL in os.environ


def needs_master(config):
    """Also where one process would do now, but the program before us has left workers to be replaced."""
    return config.supervised() or os.environ.get(STATE, "").endswith(MASTERS)
