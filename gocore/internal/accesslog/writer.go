// The buffer of lines, and the goroutine that writes it.

package accesslog

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

// writer owns two buffers: the loop fills one while the goroutine writes the other.
type writer struct {
	mu      sync.Mutex
	front   []byte // lines that wait
	back    []byte // being written; empty memory otherwise
	writing bool
	next    *file // takes the place of the file; nil: it stays

	wake chan struct{} // of one place; closed at the end
	done chan struct{} // closed by the goroutine; nil: it was not started

	pending int           // bytes that the goroutine was not woken for; of the loop
	woken   time.Duration // when it was woken last

	lost  atomic.Uint64
	errno atomic.Int32 // of the last loss
}

func newWriter() (*writer, error) {
	w := &writer{wake: make(chan struct{}, 1), woken: -limits.LogInterval}
	for _, b := range [...]*[]byte{&w.front, &w.back} {
		memory, err := pool.Map(limits.LogBufferBytes)
		if err != nil {
			w.unmap()
			return nil, err
		}
		*b = memory[:0]
	}
	return w, nil
}

func (w *writer) unmap() {
	for _, b := range [...]*[]byte{&w.front, &w.back} {
		if *b != nil {
			pool.Unmap((*b)[:cap(*b)])
			*b = nil
		}
	}
}

func (w *writer) start(f *file) {
	w.done = make(chan struct{})
	go w.run(f)
}

// add appends a line, unless there is no room.
func (w *writer) add(text []byte, now time.Duration) {
	w.mu.Lock()
	fits := len(w.front)+len(text) <= cap(w.front)
	if fits {
		w.front = append(w.front, text...)
	}
	w.mu.Unlock()
	if !fits {
		w.lose(1, 0)
	}
	if w.pending += len(text); w.pending >= limits.LogBatchBytes {
		w.wakeUp(now)
	}
}

// beforeWait wakes the goroutine unless it was woken a moment ago; else within is the time until it is due.
func (w *writer) beforeWait(now time.Duration) (within time.Duration, ok bool) {
	if w.pending == 0 {
		return 0, false
	}
	if since := now - w.woken; since < limits.LogInterval {
		return limits.LogInterval - since, true
	}
	w.wakeUp(now)
	return 0, false
}

func (w *writer) wakeUp(now time.Duration) {
	w.pending, w.woken = 0, now
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// replace makes lines that are written from now on go to another file.
func (w *writer) replace(f *file) {
	w.mu.Lock()
	if w.next != nil {
		w.next.close()
	}
	w.next = f
	w.mu.Unlock()
	w.signal()
}

func (w *writer) lose(n uint64, errno unix.Errno) {
	if n > 0 {
		w.errno.Store(int32(errno))
		w.lost.Add(n)
	}
}

func (w *writer) lostLines() (n uint64, errno int) { return w.lost.Load(), int(w.errno.Load()) }

// run is the goroutine.
func (w *writer) run(f *file) {
	for range w.wake {
		f = w.step(f)
	}
	w.step(f).close()
	close(w.done)
}

// step writes all lines that wait, and returns the file that it wrote to.
func (w *writer) step(f *file) *file {
	for {
		w.mu.Lock()
		next, batch := w.next, w.front
		w.next, w.writing = nil, len(batch) > 0
		if w.writing {
			w.front, w.back = w.back[:0], batch
		}
		w.mu.Unlock()
		if next != nil {
			f.close()
			f = next
		}
		if len(batch) == 0 {
			return f
		}
		if left, errno := f.write(batch); errno != 0 {
			w.lose(uint64(bytes.Count(left, newline)), errno)
		}
	}
}

var newline = []byte{'\n'}

// release gives unused memory back.
func (w *writer) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.writing && len(w.front) == 0 {
		pool.Discard(w.front[:cap(w.front)])
		pool.Discard(w.back[:cap(w.back)])
	}
}

// close waits for the goroutine to write what is left. If it is held for too long, it keeps the memory until the process ends.
func (w *writer) close() {
	close(w.wake)
	if w.done == nil {
		w.unmap()
		return
	}
	timer := time.NewTimer(limits.LogFlush)
	defer timer.Stop()
	select {
	case <-w.done:
		w.unmap()
	case <-timer.C:
	}
}
