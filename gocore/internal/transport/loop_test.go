// A loop without a server, for the tests of this package.

package transport

import (
	"testing"
	"time"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
)

func openLoop(t *testing.T) *Loop { return openLoopWith(t, config.Config{}) }

func openLoopWith(t *testing.T, c config.Config) *Loop {
	t.Helper()
	set, err := poll.Open()
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := handoff.OpenInbox(limits.DefaultHeadBytes, limits.View(limits.DefaultRequestLineBytes, limits.DefaultFields))
	if err != nil {
		t.Fatal(err)
	}
	l, lines := &Loop{}, &journal.Journal{}
	lines.Open(inbox, c.Debug)
	l.Open(c, set, inbox, lines, time.Now())
	t.Cleanup(func() {
		l.Abandon()
		l.Close()
		inbox.Close()
		set.Close()
	})
	return l
}
