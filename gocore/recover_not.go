//go:build saltaretest

// The same for tests of a whole server.  per process

package main

const recovers = false
