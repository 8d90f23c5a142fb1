#!/usr/bin/env bash
# Runs every Go fuzz target for the given number of seconds, one after another.
set -eu
seconds=$1

for package in $(go list ./gocore/internal/...); do
    for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
        echo "fuzzing $target of $package for ${seconds}s"
        output=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" "$package" 2>&1) && continue
        # On a busy machine go test may call the end of the time a failure (golang/go 75804); an input that fails is named.
        if grep -q 'context deadline exceeded' <<<"$output" && ! grep -q 'Failing input' <<<"$output"; then
            continue
        fi
        echo "$output"
        exit 1
    done
done
