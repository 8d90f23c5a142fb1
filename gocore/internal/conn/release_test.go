// Whatever can grow shrinks again: every table that a host and its inbox have, found by looking, so that a new one is not forgotten.
//  per process

package conn

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/poll"
	"saltare/gocore/internal/pool"
)

func openHost(t *testing.T) *Host {
	t.Helper()
	set, err := poll.Open()
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := handoff.OpenInbox(limits.DefaultHeadBytes, limits.View(limits.DefaultRequestLineBytes, limits.DefaultFields))
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{}
	h.Open(Config{}, set, inbox, time.Now())
	t.Cleanup(func() {
		h.Close()
		inbox.Close()
		set.Close()
	})
	return h
}

// fixed are those slices that no burst makes grow.
var fixed = []string{
	"Config.ServerHeader", "Config.ExtraHeaders", "Listeners", "defaults.Server", "defaults.Extra", "defaults.Date",
	"inbox.memory", "out.memory", // a mapping each, whose pages are given back
	"out.buf.B",           // in out.memory
	"heard.Bytes",         // in the inbox
	"head.Fields",         // in the inbox
	"shake.Subprotocols",  // limits.MaxSubprotocols at most
	"panicked", "overdue", // limits.PanicPlaces at most
}

// visit calls do for every slice and map within a struct, and every pool; pools have tests of their own.
func visit(at reflect.Value, name string, do func(name string, field reflect.Value)) {
	switch at.Kind() {
	case reflect.Slice, reflect.Map:
		do(name, at)
	case reflect.Pointer:
		if at.Type() == reflect.TypeFor[*handoff.Inbox]() {
			visit(at.Elem(), name, do)
		}
	case reflect.Array:
		for i := range at.Len() {
			visit(at.Index(i), name, do)
		}
	case reflect.Struct:
		if isPool(at.Type()) {
			do(name, at)
			return
		}
		for i := range at.NumField() {
			field := at.Field(i)
			open := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
			visit(open, strings.TrimPrefix(name+"."+at.Type().Field(i).Name, "."), do)
		}
	}
}

func isPool(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[pool.Buffers]().PkgPath() && t != reflect.TypeFor[pool.Buffer]()
}

func isFixed(name string) bool {
	for _, one := range fixed {
		if one == name {
			return true
		}
	}
	return false
}

func TestEveryTableShrinks(t *testing.T) {
	const burst = 10_000
	h := openHost(t)
	var grown, pools []string
	visit(reflect.ValueOf(h).Elem(), "", func(name string, field reflect.Value) {
		switch {
		case isFixed(name):
		case field.Kind() == reflect.Map:
			t.Errorf("%s is a map, which never shrinks", name)
		case field.Kind() == reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 0, burst))
			grown = append(grown, name)
		default:
			pools = append(pools, name)
		}
	})
	if len(grown) == 0 || len(pools) == 0 {
		t.Fatalf("found %v and %v", grown, pools)
	}
	if h.Release() {
		t.Error("there is more to release of nothing")
	}
	h.inbox.Trim()
	visit(reflect.ValueOf(h).Elem(), "", func(name string, field reflect.Value) {
		if field.Kind() == reflect.Slice && !isFixed(name) && field.Cap() >= burst {
			t.Errorf("%s has room for %d still", name, field.Cap())
		}
	})
}

// Each pool of a host, with what it takes to fill it and to empty it again.
func TestEveryPoolIsReleased(t *testing.T) {
	h := openHost(t)
	const burst = 3000
	buffers := func(p *pool.Buffers) func() {
		return func() {
			var all []pool.Buffer
			for range burst {
				b, err := p.Get(limits.UnsentBytes)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, b)
			}
			for _, b := range all {
				p.Put(b)
			}
		}
	}
	list := func(l *pool.List[uint32]) func() {
		return func() {
			for i := range uint32(burst) {
				l.Append(i)
			}
			l.Drop(burst)
		}
	}
	fill := map[string]func(){
		"conns": func() { use(t, &h.conns, burst) }, "streams": func() { use(t, &h.streams, burst) },
		"sockets": func() { use(t, &h.sockets, burst) }, "buffers": buffers(&h.buffers),
		"queues.all": func() { use(t, &h.queues.all, burst) }, "queues.segments": func() { use(t, &h.queues.segments, burst) },
		"queues.buffers": buffers(&h.queues.buffers), "packs.buffers": buffers(&h.packs.buffers),
		"ready": list(&h.ready), "later": list(&h.later), "retry": list(&h.retry), "due": list(&h.due), "packs.free": list(&h.packs.free),
		"inbox.late": func() {
			for range limits.Events + burst {
				h.inbox.Release(1)
			}
			for h.inbox.Reset(); !h.inbox.Empty(); h.inbox.Reset() {
			}
		},
	}
	least := map[string]int{}
	visit(reflect.ValueOf(h).Elem(), "", func(name string, field reflect.Value) {
		if !isPool(field.Type()) {
			return
		}
		if fill[name] == nil {
			t.Fatalf("%s is a pool that this test does not know", name)
		}
		fill[name]()
		least[name] = mappings(field)
	})
	for h.Release() {
	}
	h.inbox.Trim()
	visit(reflect.ValueOf(h).Elem(), "", func(name string, field reflect.Value) {
		if isPool(field.Type()) && (mappings(field) > 1 || least[name] == 0) {
			t.Errorf("%s holds %d of %d still", name, mappings(field), least[name])
		}
	})
}

func use[T any](t *testing.T, s *pool.Slab[T], n uint32) {
	t.Helper()
	for range n {
		if _, _, err := s.Alloc(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		s.Free(i)
	}
}

// mappings is how many mappings a pool has: chunks of a slab, spans of buffers, pages of a list.
func mappings(p reflect.Value) (n int) {
	if chunks := p.FieldByName("chunks"); chunks.IsValid() {
		return chunks.Len()
	}
	if mapped := p.FieldByName("mapped"); mapped.IsValid() {
		return mapped.Len() / 4096
	}
	classes := p.FieldByName("classes")
	for i := range classes.Len() {
		n += classes.Index(i).FieldByName("spans").Len()
	}
	return n
}

func TestPacksShrinkToTheLastInUse(t *testing.T) {
	var p packs
	numbers := make([]uint32, 1000)
	for i := range numbers {
		p.of(&numbers[i])
	}
	kept := p.of(&numbers[2])
	for i := range numbers {
		if i != 2 {
			p.drop(&numbers[i])
		}
	}
	p.release()
	if len(p.all) != 3 || cap(p.all) > 100 || p.free.Len() != 2 || p.live() != 1 || p.of(&numbers[2]) != kept {
		t.Errorf("%d of %d, %d free, %d live", len(p.all), cap(p.all), p.free.Len(), p.live())
	}
	for i := range numbers { // numbers are handed out once
		p.of(&numbers[i]).filled = i
	}
	for i := range numbers {
		if got := p.of(&numbers[i]).filled; got != i {
			t.Fatalf("pack %d is that of %d", i, got)
		}
	}
}

func TestAMessageInPiecesIsGatheredOutsideGosHeap(t *testing.T) {
	var p packs
	var held pack
	piece := bytes.Repeat([]byte("0123456789"), 1000)
	all := 0
	gather := func() {
		whole, err := p.gather(&held, piece)
		if err != nil {
			t.Fatal(err)
		}
		if all += len(piece); len(whole) != all || !bytes.HasSuffix(whole, piece) || !bytes.HasPrefix(whole, piece) {
			t.Fatalf("%d octets of %d", len(whole), all)
		}
	}
	gather()
	if n := testing.AllocsPerRun(100, gather); n > 0.5 {
		t.Errorf("%v allocations for each piece", n)
	}
	p.dropGathered(&held)
	if p.buffers.Live() != 0 {
		t.Error("the buffer is lent still")
	}
	p.buffers.Close()
}
