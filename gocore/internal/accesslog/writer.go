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

// writer has three buffers: the loop gathers lines, then they wait, and the goroutine writes them.
type writer struct {
	lines []byte        // gathered; of the loop
	woken time.Duration // when the goroutine was woken last; of the loop

	mu      sync.Mutex
	front   []byte // waiting
	back    []byte // being written, or empty
	writing bool
	next    *file // takes the place of the file; nil: it stays

	wake chan struct{} // of one place; closed at the end
	done chan struct{} // closed by the goroutine; nil: it was not started

	lost  atomic.Uint64
	errno atomic.Int32 // of the last loss
}

func newWriter() (*writer, error) {
	w := &writer{wake: make(chan struct{}, 1), woken: -limits.LogInterval}
	for _, b := range w.buffers() {
		memory, err := pool.Map(limits.LogBufferBytes)
		if err != nil {
			w.unmap()
			return nil, err
		}
		*b = memory[:0]
	}
	return w, nil
}

func (w *writer) buffers() [3]*[]byte { return [...]*[]byte{&w.lines, &w.front, &w.back} }

func (w *writer) unmap() {
	for _, b := range w.buffers() {
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

// beforeWait wakes the goroutine if there are lines, unless it was woken a moment ago; else within is the time until it is due.
func (w *writer) beforeWait(now time.Duration) (within time.Duration, ok bool) {
	if len(w.lines) == 0 {
		return 0, false
	}
	if since := now - w.woken; since < limits.LogInterval {
		return limits.LogInterval - since, true
	}
	w.handOver(now)
	return 0, false
}

// handOver makes the gathered lines wait for the goroutine, as far as there is room, and wakes it.
func (w *writer) handOver(now time.Duration) {
	w.mu.Lock()
	if len(w.front) == 0 { // instead of a copy
		w.front, w.lines = w.lines, w.front
	}
	n := len(w.lines)
	if room := cap(w.front) - len(w.front); room < n {
		n = bytes.LastIndexByte(w.lines[:room], '\n') + 1
	}
	w.front = append(w.front, w.lines[:n]...)
	w.mu.Unlock()
	w.lose(uint64(bytes.Count(w.lines[n:], newline)), 0)
	w.lines, w.woken = w.lines[:0], now
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
	if !w.writing && len(w.front)+len(w.lines) == 0 {
		for _, b := range w.buffers() {
			pool.Discard((*b)[:cap(*b)])
		}
	}
}

// close waits for the goroutine to write what is left. If it is held for too long, it keeps the memory until the process ends.
func (w *writer) close(now time.Duration) {
	if w.lines == nil { // it was closed
		return
	}
	w.handOver(now)
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
