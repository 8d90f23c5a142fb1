//go:build !saltaretest

// Whether a panic costs one connection, or the process.

package main

// recovers: in production. Built with the tag saltaretest, a panic ends the process, so that no test overlooks it.
const recovers = true
