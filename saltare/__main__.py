"""`python -m saltare`, the same as the `saltare` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
