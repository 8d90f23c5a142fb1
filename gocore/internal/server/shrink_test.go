// Everything that grows shrinks again: the test finds every table of a server by reflection, so that a new one is not forgotten.

package server

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/pool"
)

func openEmpty(t *testing.T) *Server {
	t.Helper()
	s, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// fixed are the slices that no burst makes grow.
var fixed = []string{
	// Those of the configuration.
	"loop.Config.RequestTimeoutPaths", "loop.Config.MaxRequestBodyPaths", "loop.Config.Answers.Health", "loop.Config.Answers.Metrics", "loop.Config.Answers.Status", "loop.Config.Answers.Trace", "loop.Config.Buckets",
	"loop.Config.Proxies.Fields", "loop.Config.Proxies.Secure",
	"loop.Config.RequestIDHeader", "loop.Config.HSTS",
	"loop.Config.ServerHeader", "loop.Config.ExtraHeaders", "loop.Accept.Listeners", "h1.defaults.Server", "h1.defaults.Extra", "h1.defaults.Date",
	"inbox.side.memory", "inbox.last.memory", "loop.Output.memory", // mappings, whose pages are released
	"loop.Output.B",                       // in loop.Output.memory
	"ws.piece.Bytes",                      // in the inbox
	"h1.head.Fields",                      // in the inbox
	"ws.handshake.Subprotocols",           // limits.MaxSubprotocols at most
	"journal.panicked", "journal.overdue", // limits.PanicPlaces at most
	"outbox", "code", // C's
	"reports.own", // limits.PollEvents at most
}

// visit calls do for every slice and map within a struct, and for every pool; pools have tests of their own.
func visit(at reflect.Value, name string, do func(name string, field reflect.Value)) {
	switch at.Kind() {
	case reflect.Slice, reflect.Map:
		do(name, at)
	case reflect.Pointer:
		if name == "inbox" {
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

func (s *Server) releaseAll() {
	for s.releaseSome() {
	}
	s.inbox.Trim()
}

func TestEveryTableShrinks(t *testing.T) {
	const burst = 10_000
	s := openEmpty(t)
	var grown, pools []string
	visit(reflect.ValueOf(s).Elem(), "", func(name string, field reflect.Value) {
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
	s.releaseAll()
	visit(reflect.ValueOf(s).Elem(), "", func(name string, field reflect.Value) {
		if field.Kind() == reflect.Slice && !isFixed(name) && field.Cap() >= burst {
			t.Errorf("%s has room for %d still", name, field.Cap())
		}
	})
}

// Each pool of a server is filled, emptied and released.
func TestEveryPoolIsReleased(t *testing.T) {
	s := openEmpty(t)
	least, n := map[string]int{}, 0
	visit(reflect.ValueOf(s).Elem(), "", func(name string, field reflect.Value) {
		if isPool(field.Type()) {
			fill(t, s, name, field)
			least[name] = mappings(field)
			n++
		}
	})
	if n < 15 {
		t.Errorf("found %d pools", n)
	}
	s.releaseAll()
	visit(reflect.ValueOf(s).Elem(), "", func(name string, field reflect.Value) {
		if isPool(field.Type()) && (mappings(field) > 1 || least[name] == 0) {
			t.Errorf("%s holds %d of %d still", name, mappings(field), least[name])
		}
	})
}

// fill uses a pool to its limit, as a burst does.
func fill(t *testing.T, s *Server, name string, field reflect.Value) {
	const burst = 3000
	switch p := field.Addr().Interface().(type) {
	case *pool.Buffers:
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
	case *pool.List[uint32]:
		for i := range uint32(burst) {
			p.Append(i)
		}
		p.Drop(burst)
	case *pool.List[handoff.Event]:
		for range limits.Events + burst {
			s.inbox.Release(1)
		}
		for s.inbox.Reset(); !s.inbox.Empty(); s.inbox.Reset() {
		}
	case interface{ Free(uint32) }: // a slab of records of any type
		alloc := field.Addr().MethodByName("Alloc")
		for range burst {
			if err := alloc.Call(nil)[2]; !err.IsNil() {
				t.Fatal(err)
			}
		}
		for i := range uint32(burst) {
			p.Free(i)
		}
	default:
		t.Fatalf("%s is a pool that this test does not know", name)
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
