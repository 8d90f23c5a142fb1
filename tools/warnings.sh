#!/usr/bin/env bash
# Compiles every C file with all warnings as errors, against the headers of each Python that is here: warnings.sh BIN.
#
# A build for users has no -Werror: a newer compiler must not end it.
set -u
bin=$1
failed=0
flags=(-std=gnu11 -O2 -fPIC -fvisibility=hidden -Wall -Wextra -Werror)

# The headers' folder of an interpreter, if they are installed.
headers() {
    "$1" -c 'import os, sysconfig
folder = sysconfig.get_path("include")
print(folder if os.path.isfile(folder + "/Python.h") else "")' 2>/dev/null
}

interpreters=("$bin/python")
for version in 3.10 3.11 3.12 3.13 3.14; do
    interpreters+=("python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python)
done
folders=$(for python in "${interpreters[@]}" python3-dbg; do headers "$python"; done | sort -u)
if [ -z "$folders" ]; then
    echo "no Python here has its C headers: apt-get install python3-dev"
    exit 1
fi
own=$(headers "$bin/python")
for include in $folders; do
    how=(-fsyntax-only)                                # quick
    [ "$include" = "$own" ] && how=(-S -o /dev/null)   # with those of the optimizer
    printf '%s\n' gocore/*.c native/*/*.c | xargs -P "$(nproc)" -n 1 "${CC:-gcc}" "${flags[@]}" "${how[@]}" -isystem "$include" || { echo "with $include"; failed=1; }
done
exit $failed
