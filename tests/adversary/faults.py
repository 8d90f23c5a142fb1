"""What an app may do while the border looks at its objects, each in a process of its own: `python faults_of_calls.py NAME`.

A fault that comes back ends the process by a signal, or by an assertion. test_faults.py runs them all, with an allocator
that overwrites what is freed. This file has what those of the faults share.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "bridge")]

FAULTS = {}


def fault(function):
    FAULTS[function.__name__] = function
    return function


def main():
    FAULTS[sys.argv[1]]()
    print("survived")
