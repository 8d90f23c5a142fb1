// The exported functions: unpack, call, pack. Contracts are in bridge.h.  per turn

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
	"cmp"
	"errors"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/go-python/gopy/gopyh"
	"golang.org/x/sys/unix"

	"saltare/gocore/internal/config"
	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
	"saltare/gocore/internal/transport"
)

// Set by the build.
var (
	version = "0"
	flavour = "plain"
)

// maxProcs bounds Go's share of the machine: the core does its work in the threads that call it, mostly one for each server.
// The command line has Go begin with one P, since it never gives back what each further one costs: 0.1 MiB for the second,
// 0.36 for 16.
const maxProcs = 4

// handleType is what gopyh logs when handles are traced.
const handleType = "*server.Server"

//export saltare_open
func saltare_open(c *C.struct_saltare_config, epollFD *C.int32_t) C.int64_t {
	settings := server.Config{
		Guest:   c.guest != 0,
		Recover: recovers,
		Worker:  server.Worker{Counters: int(c.counters), Slot: int(c.slot), Requests: uint64(c.retire_requests), RSS: uint64(c.retire_rss)},
		Conn: config.Config{
			HeaderTimeout:        config.Ticks(uint32(c.header_timeout)),
			KeepAliveTimeout:     config.Ticks(uint32(c.keep_alive_timeout)),
			BodyTimeout:          config.Ticks(uint32(c.body_timeout)),
			WriteTimeout:         config.Ticks(uint32(c.write_timeout)),
			WSKeepAliveTimeout:   config.Ticks(uint32(c.ws_keepalive_timeout)),
			WSMaxBytes:           cmp.Or(uint64(c.ws_max_size), limits.DefaultMessageBytes),
			WSDeflate:            c.ws_per_message_deflate != 0,
			WSContext:            c.ws_deflate_context != 0,
			MaxConnections:       uint32(c.max_concurrent_connections),
			MaxKeepAliveRequests: uint32(c.max_keepalive_requests),
			MaxRequestBody:       uint64(c.max_request_body),
			MaxHead: http1.Limits{HeadBytes: min(int(c.max_request_head), limits.MostHeadBytes),
				LineBytes: min(int(c.max_request_line), limits.MostRequestLineBytes), Fields: min(int(c.max_request_fields), limits.MostFields)},
			ExtraHeaders: C.GoBytes(unsafe.Pointer(c.extra_headers), C.int(c.extra_headers_len)),
			DateHeader:   c.date_header != 0,
			Debug:        c.debug != 0,
			Forked:       (*uint32)(unsafe.Pointer(c.forked)),
		},
	}
	if c.server_header_len > 0 {
		value := C.GoStringN(c.server_header, C.int(c.server_header_len))
		settings.Conn.ServerHeader = []byte("server: " + value + "\r\n")
	}
	s, err := server.Open(settings)
	if err != nil {
		return C.int64_t(failure(err))
	}
	*epollFD = C.int32_t(s.FD())
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
	flags, err := s.Turn(outbox, time.Duration(t.timeout_ns), code)
	if err != nil {
		return failure(err)
	}
	pack(t, s)
	t.flags = C.uint32_t(flags)
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

//export saltare_live
func saltare_live(out *C.struct_saltare_live) {
	out.handles = C.uint64_t(gopyh.NumHandles())
	for _, f := range servers.stats() {
		out.connections += C.uint64_t(f.Connections)
		out.streams += C.uint64_t(f.Streams)
		out.sockets += C.uint64_t(f.Sockets)
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

// buildInfo is made once, in C's memory, since C keeps it.
var buildInfo = func() func() *C.char {
	var text *C.char
	return func() *C.char {
		if text == nil {
			release, _, _ := strings.Cut(runtime.Version(), "-X:") // experiments, as build_ext.py sets them
			text = C.CString(flavour + " " + version + " " + release)
		}
		return text
	}
}()

func find(handle C.int64_t) *server.Server {
	v, err := gopyh.VarFromHandleTry(gopyh.CGoHandle(handle), handleType)
	if err != nil {
		return nil
	}
	return v.(*server.Server)
}

// failure is -errno; 0 for no error.
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

// Proofs that package handoff and bridge.h agree: an array index that is not 0 does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_event{})-unsafe.Sizeof(handoff.Event{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_request{})-unsafe.Sizeof(handoff.Request{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_command{})-unsafe.Sizeof(handoff.Command{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_body_ref{})-unsafe.Sizeof(handoff.BodyRef{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_file{})-unsafe.Sizeof(handoff.File{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_field{})-unsafe.Sizeof(http1.Field{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_address{})-unsafe.Sizeof(handoff.Address{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_range{})-unsafe.Sizeof(handoff.Range{})]

	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_event{}.data)-unsafe.Offsetof(handoff.Event{}.Data)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.subprotocols)-unsafe.Offsetof(handoff.Request{}.Subprotocols)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.path_len)-unsafe.Offsetof(handoff.Request{}.PathLen)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.method)-unsafe.Offsetof(handoff.Request{}.Method)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.minor)-unsafe.Offsetof(handoff.Request{}.Minor)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.client)-unsafe.Offsetof(handoff.Request{}.Client)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.local)-unsafe.Offsetof(handoff.Request{}.Local)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_command{}.stream)-unsafe.Offsetof(handoff.Command{}.Stream)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_field{}.id)-unsafe.Offsetof(http1.Field{}.ID)]

	_ = [1]struct{}{}[C.SALTARE_SEND_WINDOW-limits.SendWindowBytes]
	_ = [1]struct{}{}[C.SALTARE_INLINE-limits.InlineBytes]
	_ = [1]struct{}{}[C.LOG_WARNING-handoff.LogWarning]
	_ = [1]struct{}{}[C.EVENT_REQUEST-handoff.EventRequest]
	_ = [1]struct{}{}[C.EVENT_RETIRE-handoff.EventRetire]
	_ = [1]struct{}{}[C.SALTARE_WS_WINDOW-limits.SocketWindowBytes]
	_ = [1]struct{}{}[C.SALTARE_PIECE_COST-limits.PieceCostBytes]
	_ = [1]struct{}{}[C.SALTARE_FILE_COST-limits.FileCostBytes]
	_ = [1]struct{}{}[C.SALTARE_WS_COST-limits.MessageCostBytes]
	_ = [1]struct{}{}[C.SALTARE_WS_TAKEN-limits.TakenBytes]
	_ = [1]struct{}{}[C.EVENT_WS_CLOSE-handoff.EventWSClose]
	_ = [1]struct{}{}[C.EVENT_HALF_CLOSE-handoff.EventHalfClose]
	_ = [1]struct{}{}[C.EVENT_TEXT-handoff.EventText]
	_ = [1]struct{}{}[C.EVENT_CONTINUE-handoff.EventContinue]
	_ = [1]struct{}{}[C.EVENT_SILENT-handoff.EventSilent]
	_ = [1]struct{}{}[C.COMMAND_START-handoff.CommandStart]
	_ = [1]struct{}{}[C.COMMAND_WS_CLOSE-handoff.CommandWSClose]
	_ = [1]struct{}{}[C.COMMAND_TEXT-handoff.CommandText]
	_ = [1]struct{}{}[C.TURN_EMPTY-handoff.TurnEmpty]
	_ = [1]struct{}{}[C.TURN_LULL-handoff.TurnLull]
	_ = [1]struct{}{}[C.TURN_REST-handoff.TurnRest]
	_ = [1]struct{}{}[C.FAMILY_INET6-handoff.FamilyInet6]
)
