// The exported functions: unpack, call, pack. Contracts are in bridge.h.

package main

/*
#cgo CFLAGS: -std=c11 -fvisibility=hidden -O2 -Wall -Wextra
#cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all
#define SALTARE_GO_PREAMBLE
#include <errno.h>
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/go-python/gopy/gopyh"
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

// Set by the build.
var (
	version = "0"
	flavour = "plain"
)

// maxProcs bounds Go's share of the machine: the core works in the threads that call it, usually one per server. The command
// line starts Go with one P, because the memory of each further P is never released: 0.1 MiB for the second, 0.36 MiB for 16.
const maxProcs = 4

// handleType is what gopyh logs when handles are traced.
const handleType = "*server.Server"

//export saltare_option
func saltare_option(index C.uint32_t, out *C.struct_saltare_option) C.int32_t {
	if int(index) >= len(server.Options) {
		return -C.ENOENT
	}
	option := &server.Options[index]
	out.name = (*C.char)(unsafe.Pointer(unsafe.StringData(option.Name)))
	out.name_len = C.uint32_t(len(option.Name))
	out.unit = C.uint32_t(option.Unit)
	out.most = C.uint64_t(option.Most)
	return 0
}

//export saltare_open
func saltare_open(c *C.struct_saltare_config, opened *C.struct_saltare_opened) C.int64_t {
	config := server.Config{Recover: recovers}
	config.Conn.Forked = (*uint32)(unsafe.Pointer(c.forked))
	for _, setting := range unsafe.Slice(c.settings, c.n_settings) {
		var text []byte
		if setting.text != nil {
			text = unsafe.Slice((*byte)(unsafe.Pointer(setting.text)), setting.value)
		}
		if err := config.Set(uint32(setting.option), uint64(setting.value), text); err != nil {
			return C.int64_t(failure(err))
		}
	}
	s, err := server.Open(config)
	if err != nil {
		code := failure(err)
		if code == -C.EIO { // no error of a system call
			opened.why = C.CString(err.Error())
		}
		return C.int64_t(code)
	}
	*opened = C.struct_saltare_opened{epoll_fd: C.int32_t(s.FD())}
	if config.Guest {
		opened.guest = 1
	}
	handle := gopyh.Register(handleType, s)
	gopyh.IncRef(handle)
	runtime.GOMAXPROCS(min(servers.add(s), maxProcs))
	return C.int64_t(handle)
}

//export saltare_listen
func saltare_listen(handle C.int64_t, listeners *C.struct_saltare_listener, n C.uint32_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	var all []transport.Listener
	for _, l := range unsafe.Slice(listeners, n) {
		all = append(all, transport.Listener{FD: int(l.fd), Wildcard: l.wildcard != 0})
	}
	return failure(s.Listen(all))
}

//export saltare_turn
func saltare_turn(handle C.int64_t, t *C.struct_saltare_turn) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	outbox := unsafe.Slice((*byte)(t.outbox), t.outbox_len)
	code := unsafe.Slice((*handoff.Range)(unsafe.Pointer(t.code)), t.n_code)
	s.Tasks(int(t.tasks))
	if err := s.Turn(outbox, time.Duration(t.timeout_ns), code); err != nil {
		return failure(err)
	}
	pack(t, s)
	t.flags = C.uint32_t(s.Flags())
	return 0
}

func pack(t *C.struct_saltare_turn, s *server.Server) {
	ptr, n := s.Inbox()
	t.events = (*C.struct_saltare_event)(*(*unsafe.Pointer)(unsafe.Pointer(&ptr)))
	t.n_events = C.uint32_t(n)
}

//export saltare_watch
func saltare_watch(handle C.int64_t, fd C.int32_t, events C.uint32_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	return failure(s.Watch(int(fd), uint32(events)))
}

//export saltare_reopen_log
func saltare_reopen_log(handle C.int64_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	return failure(s.ReopenLog())
}

//export saltare_unready
func saltare_unready(handle C.int64_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	s.Unready()
	return 0
}

//export saltare_drain
func saltare_drain(handle C.int64_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	s.Drain()
	return 0
}

//export saltare_abandon
func saltare_abandon(handle C.int64_t, t *C.struct_saltare_turn) C.int32_t {
	s := find(handle)
	if s == nil {
		t.n_events = 0
		return -C.ESTALE
	}
	s.Abandon()
	pack(t, s)
	return 0
}

//export saltare_close
func saltare_close(handle C.int64_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	s.Close()
	servers.remove(s)
	gopyh.DecRef(gopyh.CGoHandle(handle))
	return 0
}

//export saltare_stats
func saltare_stats(handle C.int64_t, out *C.struct_saltare_stats) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	f := s.Stats()
	*out = C.struct_saltare_stats{
		connections: C.uint64_t(f.Connections), streams: C.uint64_t(f.Streams), requests: C.uint64_t(f.Requests),
		accepted: C.uint64_t(f.Accepted), refused: C.uint64_t(f.Refused), buffers: C.uint64_t(f.Buffers), unsent: C.uint64_t(f.Unsent),
		panics: C.uint64_t(f.Panics),
	}
	return 0
}

//export saltare_phases
func saltare_phases(handle C.int64_t, counts *C.uint64_t) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	*(*[transport.Phases]uint64)(unsafe.Pointer(counts)) = s.Phases()
	return 0
}

//export saltare_refusal
func saltare_refusal(handle C.int64_t, index C.uint32_t, out *C.struct_saltare_refusal) C.int32_t {
	s := find(handle)
	if s == nil {
		return -C.ESTALE
	}
	if index >= C.uint32_t(journal.Limits) {
		return -C.ENOENT
	}
	cause := journal.Limit(index)
	name := cause.String()
	out.cause = (*C.char)(unsafe.Pointer(unsafe.StringData(name)))
	out.cause_len = C.uint64_t(len(name))
	out.count = C.uint64_t(s.Refusals(cause))
	return 0
}

//export saltare_live
func saltare_live(out *C.struct_saltare_live) {
	out.handles = C.uint64_t(gopyh.NumHandles())
	for _, f := range servers.stats() {
		out.connections += C.uint64_t(f.Connections)
		out.streams += C.uint64_t(f.Streams)
		out.websockets += C.uint64_t(f.WebSockets)
		out.buffers += C.uint64_t(f.Buffers)
		out.queues += C.uint64_t(f.Queues)
		out.files += C.uint64_t(f.Files)
	}
}

//export saltare_known_name
func saltare_known_name(id C.uint32_t, n *C.uint32_t) *C.char {
	if int(id) >= len(http1.KnownNames) {
		*n = 0
		return nil
	}
	name := http1.KnownNames[id]
	*n = C.uint32_t(len(name))
	return (*C.char)(unsafe.Pointer(unsafe.StringData(name)))
}

//export saltare_build_info
func saltare_build_info() *C.char { return buildInfo() }

// buildInfo is allocated once, in C's memory, because C keeps the pointer.
var buildInfo = sync.OnceValue(func() *C.char {
	release, _, _ := strings.Cut(runtime.Version(), "-X:") // cuts off experiments, which build_ext.py sets
	return C.CString(flavour + " " + version + " " + release)
})

func find(handle C.int64_t) *server.Server {
	v, err := gopyh.VarFromHandleTry(gopyh.CGoHandle(handle), handleType)
	if err != nil {
		return nil
	}
	return v.(*server.Server)
}

// failure converts an error to -errno; 0 means no error.
func failure(err error) C.int32_t {
	if err == nil {
		return 0
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return -C.int32_t(errno)
	}
	return -C.EIO
}
