#!/usr/bin/env bash
# Names the interpreters, of the versions given as arguments, that this machine has, on the PATH or from pyenv; says which are missing.
set -u

find_interpreter() {
    local candidate
    for candidate in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        # A shim of pyenv is on the PATH for versions that are not chosen as well, and fails.
        if [ -x "$candidate" ] && "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$1'.split('.'))))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "!! not installed: Python $1. Its tests are left out." >&2
}

for version in "$@"; do
    find_interpreter "$version"
done
