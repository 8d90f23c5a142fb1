//go:build saltaretest

// The same for tests of a whole server.

package main

const recovers = false
