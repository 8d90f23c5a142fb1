// Request ids: those that are made, and those of a proxy.

// Package identity is what a request is called in logs: its id, and its place in a trace (W3C Trace Context).
//
//	id.go           request ids
//	traceparent.go  the field traceparent
package identity

import (
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

const hex = "0123456789abcdef"

// idOctets are the random octets of an id, 32 digits of it.
const idOctets = 16

// Source makes random names. It takes them from the kernel: the seeds of Go's own generators are equal in all workers of a master. One
// system call serves many requests.
type Source struct {
	random [limits.RandomBytes]byte
	left   int
}

// Fill gets new random octets from the kernel; the error is that of getrandom(2).
func (s *Source) Fill() error {
	for s.left = 0; s.left < len(s.random); {
		n, err := unix.Getrandom(s.random[s.left:], 0)
		if err != nil && err != unix.EINTR {
			return err
		}
		s.left += max(n, 0)
	}
	return nil
}

// appendRandom appends n random octets as hex digits, not all of them 0.
func (s *Source) appendRandom(to []byte, n int) []byte {
	if s.left < n {
		if err := s.Fill(); err != nil {
			panic("identity: getrandom: " + err.Error()) // it has worked before
		}
	}
	s.left -= n
	some := byte(0)
	for _, c := range s.random[s.left : s.left+n] {
		to = append(to, hex[c>>4], hex[c&15])
		some |= c
	}
	if some == 0 {
		to[len(to)-1] = '1'
	}
	return to
}

// AppendID appends a new request id.
func (s *Source) AppendID(to []byte) []byte { return s.appendRandom(to, idOctets) }

// inID has the octets that a proxy's id may have: those of UUIDs, of base64, and of the ids of AWS and Google. White space, quotes and
// commas are not among them.
var inID = idOctetsTable()

func idOctetsTable() (t [256]bool) {
	for c := range t {
		t[c] = c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	for _, c := range []byte("-._~:/+=;@") {
		t[c] = true
	}
	return t
}

// IsID tells whether a text may be a request's id.
func IsID(text []byte) bool {
	if len(text) == 0 || len(text) > limits.RequestIDBytes {
		return false
	}
	for _, c := range text {
		if !inID[c] {
			return false
		}
	}
	return true
}
