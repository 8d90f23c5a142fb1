//go:build full

// The full flavour's module has a name of its own, so that both flavours can be installed.

package main

/*
#cgo CFLAGS: -DSALTARE_FULL
*/
import "C"
