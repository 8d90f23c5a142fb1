// The file that lines go to.

package accesslog

import (
	"bytes"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// mode of a new file, of which the umask takes bits away.
const mode = 0o666

// file is an open file, a pipe, a terminal or a socket. Only the writer uses it, once it is open.
type file struct {
	fd      int
	regular bool
	torn    bool // the last line in it is incomplete
}

// Names of the standard streams.
const (
	stdout = "stdout"
	stderr = "stderr"
)

// openFile opens a file to append to, or duplicates the descriptor of a standard stream: the app may close that.
func openFile(path string) (*file, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &file{fd: fd, regular: stat.Mode&unix.S_IFMT == unix.S_IFREG}, nil
}

func open(path string) (fd int, err error) {
	switch path {
	case stdout:
		return unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	case stderr:
		return unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	}
	// Without O_NONBLOCK the open of a FIFO would wait for a reader. The writer, which has a thread of its own, may wait.
	for err = unix.EINTR; err == unix.EINTR; {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, mode)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND)
	}
	return fd, err
}

func (f *file) close() { _ = unix.Close(f.fd) }

// longestLine is how long a line may be to be written whole while other workers write too: to a pipe, PIPE_BUF.
func (f *file) longestLine() int {
	if f.regular {
		return limits.LogFileLineBytes
	}
	return limits.LogPipeBytes
}

// write writes whole lines; left are those that were not, because of errno. One write(2) appends to a file as a whole, so that no other
// worker's lines come between; a pipe takes LogPipeBytes so.
func (f *file) write(lines []byte) (left []byte, errno unix.Errno) {
	if f.torn { // end what is left of a line, so that the next one is whole
		if _, errno = f.writeAll(newline); errno != 0 {
			return lines, errno
		}
		f.torn = false
	}
	for len(lines) > 0 {
		n := len(lines)
		if !f.regular {
			n = whole(lines, limits.LogPipeBytes)
		}
		done, errno := f.writeAll(lines[:n])
		if errno != 0 {
			f.torn = done > 0 && lines[done-1] != '\n'
			return lines[done:], errno
		}
		lines = lines[n:]
	}
	return nil, 0
}

// whole is the size of as many whole lines as fit most bytes, at least one.
func whole(lines []byte, most int) int {
	if len(lines) <= most {
		return len(lines)
	}
	if at := bytes.LastIndexByte(lines[:most], '\n'); at >= 0 {
		return at + 1
	}
	return bytes.IndexByte(lines, '\n') + 1
}

// writeAll writes b, and returns how much of it was written.
func (f *file) writeAll(b []byte) (done int, errno unix.Errno) {
	for done < len(b) {
		n, err := unix.Write(f.fd, b[done:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN: // another program has made the pipe or terminal non-blocking
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(f.fd), Events: unix.POLLOUT}}, -1)
		case err != nil:
			return done, err.(unix.Errno)
		default:
			done += n
		}
	}
	return done, 0
}
