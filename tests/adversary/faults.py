"""What an app may do while the bridge reads its objects, a process per case: `python faults_of_calls.py NAME`.

A regression ends the process by a signal or a failed assertion. test_faults.py runs every case with an allocator
that overwrites freed memory. This file holds what the cases share.
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
