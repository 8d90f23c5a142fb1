// Files in a response: sent by the kernel, never read by the core.

package transport

import (
	"fmt"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/sock"
)

// file is n bytes of a file from offset at; we own its descriptor. The zero value is no file.
type file struct {
	fd int32 // descriptor + 1
	n  int
	at int64
}

func (f file) open() bool { return f.fd != 0 }

// FilePiece takes ownership of a command's descriptor.
func (o *Output) FilePiece(f *handoff.File) Piece {
	o.files++
	return Piece{file: file{fd: f.FD + 1, n: int(f.Len), at: int64(f.Offset)}}
}

func (o *Output) closeFile(f file) {
	if f.open() {
		sock.Close(int(f.fd - 1))
		o.files--
	}
}

// writeFile sends up to n bytes of the file at the front of the queue. Only EAGAIN shows that the socket is full: a short write may
// also mean that the rest of the file was not in memory.
func (o *Output) writeFile(c *Conn, s *queued, n int) (sent int, failed bool) {
	sent, errno := sock.SendFile(int(c.fd), int(s.file.fd-1), s.file.at+int64(s.off), n)
	switch errno {
	case unix.EAGAIN:
		c.writable = false
		return 0, false
	case sock.OK, unix.EIO, unix.EBADF, unix.EINVAL, unix.ESTALE, unix.EOVERFLOW:
		o.fileGoesOn(c, s, s.off, sent, errno)
		return sent, false
	}
	return 0, true
}

// fileGoesOn evaluates reading n bytes of a file at offset off of its segment. A file that ends early or cannot be read cuts the response
// short.
func (o *Output) fileGoesOn(c *Conn, s *queued, off, n int, errno unix.Errno) bool {
	switch {
	case errno != sock.OK:
		o.cutShort(c, "a file could not be sent: "+errno.Error())
	case n == 0:
		o.cutShort(c, fmt.Sprintf("a file shrank while it was sent: its last %d bytes are missing", s.n-off))
	default:
		return true
	}
	return false
}

// cutShort resets the connection, so that the peer does not take the partial response for a complete one.
func (o *Output) cutShort(c *Conn, why string) {
	o.loop.AppError(c, why)
	c.reset = true
	o.loop.Mark(c, FileCut)
}
