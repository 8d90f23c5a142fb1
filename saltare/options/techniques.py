"""The techniques that save memory, each with the name that turns it off.

docs/memory.md has the savings, costs and effects of each. A safe technique uses no allocator's internals, signals no
thread, moves no memory and replaces no part of a library, so `--memory safe` uses it as well.
"""

import sys

# The newest Python that was tested; CI has 3.10 to 3.13, and 3.14 was tested by hand. On a later one only safe
# techniques are on, since its internals may differ.
NEWEST_TESTED = (3, 14)

# Name, whether it is safe, and what it does.
TECHNIQUES = (
    ("malloc-settings", True, "set malloc to one arena and fixed thresholds, and turn off transparent huge pages"),
    ("start-up-pages", True, "drop pages of code and constants that only start-up needed"),
    ("collection", True, "collect garbage after start-up, then freeze what is left, and collect in quiet periods"),
    ("trimming", True, "return malloc's free memory to the system after start-up and in quiet periods"),
    ("import-caches", False, "empty the caches that only made imports faster, once the app is imported"),
    ("lazy-ssl", False, "load ssl when it is first used"),
    ("shared-code", False, "keep equal parts of code objects once"),
    ("freed-pools", False, "release what is free within pymalloc's arenas after a burst"),
    ("shared-heap", False, "workers share the master's heap, and again where their pages become equal to its"),
)
SAFE = {name for name, safe, _ in TECHNIQUES if safe}


def is_on(config, name):
    """Whether a technique is used with this configuration and interpreter."""
    if name in config.memory_without:
        return False
    return name in SAFE or (config.memory == "lean" and untested() is None)


def untested():
    """Why this interpreter may differ from the tested ones, or None."""
    version = sys.version_info[:2]
    if sys.implementation.name != "cpython":
        return f"the interpreter is {sys.implementation.name}, not CPython"
    if version > NEWEST_TESTED:
        return "Python {}.{} is newer than {}.{}, the newest one tested".format(*version, *NEWEST_TESTED)
    if "t" in sys.abiflags:
        return "this Python is free-threaded"
    if "d" in sys.abiflags:
        return "this is a debug build of Python"
    return None
