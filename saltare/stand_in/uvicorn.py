"""`import uvicorn` and `python -m uvicorn` in a program that `saltare as-uvicorn` runs, and in processes it starts."""

import os
import sys

try:
    from saltare.compat.finder import take_over
except ImportError:
    take_over = None  # such a process may be of another environment, which has uvicorn but not saltare


def import_the_other():
    from importlib import import_module

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    del sys.modules["uvicorn"]
    import_module("uvicorn")


def run():
    if take_over is None:
        from runpy import run_module

        sys.modules.setdefault("uvicorn", sys.modules["__main__"])
        import_the_other()
        run_module("uvicorn", run_name="__main__", alter_sys=True)
    else:
        from saltare.launch.cli import main

        sys.exit(main())


if __name__ == "__main__":
    run()
elif take_over is None:
    import_the_other()
else:
    take_over()
