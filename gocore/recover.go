//go:build !saltaretest

// Whether a panic ends one connection or the process: in production.

package main

// recovers is false with the build tag saltaretest: there a panic ends the process, so that no test overlooks it.
const recovers = true
