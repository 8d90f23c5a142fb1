#!/usr/bin/env bash
# Formatting and static checks; says everything that is wrong before it fails. Argument: the bin folder of the environment.
set -u
bin=$1
failed=0

unformatted=$(gofmt -l gocore)
if [ -n "$unformatted" ]; then
    printf 'not formatted (make fmt):\n%s\n' "$unformatted"
    failed=1
fi
headers=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
for tags in "" full; do
    CGO_CFLAGS="-I$headers" go vet -tags "$tags" ./gocore/... || failed=1
done
tools/warnings.sh "$bin" || failed=1
"$bin/ruff" check --quiet || failed=1
"$bin/ruff" format --check --quiet || { echo "not formatted: make fmt"; failed=1; }
"$bin/python" tools/options.py --check docs/options.md docs/migrating.md || failed=1
exit $failed
