//go:build saltaretest

// Whether a panic ends one connection or the process: in tests of a whole server.

package main

const recovers = false
