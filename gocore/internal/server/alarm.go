// The deadlines of a guest: a timer in the epoll set makes the set readable when a deadline comes.

package server

import (
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/poll"
)

type alarm struct {
	fd  int
	set time.Time // when it expires; zero: not armed
}

func openAlarm(set *poll.Poll) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := set.AddLevel(fd, poll.In, poll.NewTag(poll.Server, 0, poll.Alarm)); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &alarm{fd: fd}, nil
}

func (a *alarm) close() { _ = unix.Close(a.fd) }

func (a *alarm) acknowledge() {
	var count [8]byte
	_, _ = unix.Read(a.fd, count[:])
	a.set = time.Time{}
}

// setAlarm arms the timer for the next deadline. It leaves an earlier alarm that is no longer needed: deadlines mostly move away, and
// following each of them would cost a system call per request.
func (s *Server) setAlarm(now time.Time) {
	d, ok := s.untilDeadline(now)
	if !ok {
		return
	}
	at := now.Add(max(d, time.Millisecond))
	if !s.alarm.set.IsZero() && !at.Before(s.alarm.set) {
		return
	}
	s.alarm.set = at
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at.Sub(now)))}
	_ = unix.TimerfdSettime(s.alarm.fd, 0, &spec, nil)
}
