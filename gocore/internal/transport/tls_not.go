//go:build !full

// The plain flavour has no TLS.

package transport

import (
	"time"

	"golang.org/x/sys/unix"
)

func newSecurity(*Loop, func() time.Time) (security, error) { return nil, unix.ENOTSUP }
