#!/usr/bin/env bash
# Runs tests with AddressSanitizer and UBSan in the C of the core: sanitize.sh BIN PYTEST-ARGUMENT...
#
# Go's code is not instrumented. CPython is not either, but PYTHONMALLOC=malloc makes each of its objects a block of malloc
# of its own, so that a look at one that is gone is seen. Leaks are not looked for here: the interpreter itself leaves blocks.
set -euo pipefail

bin=$1
shift
for library in libasan.so libubsan.so; do
    if [ ! -f "$(${CC:-gcc} -print-file-name=$library)" ]; then
        echo "!! not installed: $library of ${CC:-gcc}. The tests with AddressSanitizer and UBSan are left out." >&2
        exit
    fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
flags="-fsanitize=address,undefined"
include=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
suffix=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')

cp -r saltare "$scratch/"
rm -f "$scratch"/saltare/*.so
export CGO_CFLAGS="-g -O1 -fno-omit-frame-pointer $flags -fno-sanitize-recover=undefined -I$include -DSALTARE_SHARED_HEADERS=$(cksum <native/memory/memory_api.h | cut -d ' ' -f 1)u" CGO_LDFLAGS="$flags"
go build -buildmode=c-shared -trimpath -o "$scratch/saltare/_core$suffix" ./gocore
# shellcheck disable=SC2086
${CC:-gcc} -shared -fPIC $CGO_CFLAGS native/memory/*.c -ldl -o "$scratch/saltare/_memory$suffix"
# shellcheck disable=SC2086
${CC:-gcc} -shared -fPIC $CGO_CFLAGS native/process/*.c -o "$scratch/saltare/_process$suffix"

export PYTHONPATH=$scratch PYTHONDONTWRITEBYTECODE=1 PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:handle_segv=0:use_sigaltstack=0 UBSAN_OPTIONS=print_stacktrace=1
LD_PRELOAD="$(${CC:-gcc} -print-file-name=libasan.so) $(${CC:-gcc} -print-file-name=libubsan.so)" "$bin/pytest" -p no:cacheprovider "$@"
