// The inbox: what fits, what waits for the next turn, and that its arena is used once.

package handoff

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"saltare/gocore/internal/limits"
)

func openInbox(t *testing.T) *Inbox {
	t.Helper()
	b, err := OpenInbox(limits.DefaultHeadBytes, limits.View(limits.DefaultRequestLineBytes, limits.DefaultFields))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// events views the events in the inbox.
func events(b *Inbox) []Event {
	ptr, n := b.Events()
	return unsafe.Slice((*Event)(*(*unsafe.Pointer)(unsafe.Pointer(&ptr))), n)
}

func TestEventsWithoutRoomComeInTheNextTurnsInTheirOrder(t *testing.T) {
	b := openInbox(t)
	const all = 2*limits.Events + 100
	for n := range uint64(all) {
		b.Add(Event{Kind: EventRelease, Stream: n})
	}
	seen := uint64(0)
	for turns := 0; ; turns++ {
		if late := b.Late(); late != (turns < 2) {
			t.Errorf("turn %d: late %v", turns, late)
		}
		for _, e := range events(b) {
			if e.Kind != EventRelease || e.Stream != seen {
				t.Fatalf("event %d is %+v", seen, e)
			}
			seen++
		}
		if !b.Late() {
			break
		}
		b.Reset()
	}
	if seen != all {
		t.Errorf("%d events of %d", seen, all)
	}
	b.Reset()
	if !b.Empty() {
		t.Error("not empty after all were taken")
	}
}

func TestRoomIsForAWholeStep(t *testing.T) {
	b := openInbox(t)
	for b.HasRoom() {
		b.Add(Event{Kind: EventLog})
	}
	_, n := b.Events()
	if left := limits.Events - n; left >= limits.EventsPerStep || left < 0 {
		t.Errorf("no room with %d events left", left)
	}
}

func TestTheArenaIsHandedOutOnce(t *testing.T) {
	b := openInbox(t)
	first := b.Free()
	if len(first) != limits.ArenaBytes {
		t.Fatalf("%d bytes are free", len(first))
	}
	copy(first, "abc")
	b.Keep(3)
	r := b.NewRequest()
	r.Minor = 1
	copy(b.Free(), "def")
	if string(first[:3]) != "abc" || r.Minor != 1 {
		t.Error("what was kept was overwritten")
	}
	if at := uintptr(unsafe.Pointer(r)); at%8 != 0 {
		t.Errorf("a view at %#x", at)
	}
	b.Keep(limits.ArenaBytes)
	if n := len(b.Free()); n != 0 {
		t.Errorf("%d bytes are free of nothing", n)
	}
	b.Reset()
	if len(b.Free()) != limits.ArenaBytes {
		t.Error("the next turn has less")
	}
}

func TestFieldsLieBehindTheHead(t *testing.T) {
	b := openInbox(t)
	head := b.Free()[:13]
	fields := b.Fields(len(head), limits.DefaultFields)
	if len(fields) != limits.DefaultFields {
		t.Errorf("room for %d fields", len(fields))
	}
	if gap := uintptr(unsafe.Pointer(&fields[0])) - uintptr(unsafe.Pointer(&head[0])); gap != 16 {
		t.Errorf("fields begin %d bytes behind the head's begin", gap)
	}
}

func TestTrimKeepsWhatIsUsed(t *testing.T) {
	b := openInbox(t)
	b.Add(Event{Kind: EventLog, Stream: 5})
	b.Trim()
	if all := events(b); len(all) != 1 || all[0].Stream != 5 {
		t.Errorf("%+v", all)
	}
	b.Reset()
	b.Free()[0] = 'x'
	b.Trim()
	if b.Free()[0] != 0 {
		t.Error("nothing was released")
	}
}

// C may read the events of one turn until the next turn ends.
func TestWhatWasGivenStaysForOneTurnMore(t *testing.T) {
	b := openInbox(t)
	give := func(text string) []Event {
		small := b.Free()[:copy(b.Free(), text)]
		b.Keep(len(small))
		large, err := b.Store(bytes.Repeat([]byte(text), limits.ArenaBytes))
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{small, large} {
			b.Add(Event{Kind: EventBody, Data: Pointer(data), Len: uint64(len(data))})
		}
		return events(b)
	}
	holds := func(given []Event, text string) bool {
		large := Bytes(given[1].Data, given[1].Len)
		return len(given) == 2 && string(Bytes(given[0].Data, given[0].Len)) == text && bytes.HasPrefix(large, []byte(text)) && bytes.HasSuffix(large, []byte(text))
	}
	before := give("a turn")
	for turn := range 10 {
		text := fmt.Sprintf("turn %d", turn)
		b.Reset()
		if !b.Empty() || len(b.Free()) != limits.ArenaBytes {
			t.Fatal("a turn begins with what another has given")
		}
		given := give(text)
		b.Trim()
		if was := []string{"a turn", fmt.Sprintf("turn %d", turn-1)}[min(turn, 1)]; !holds(before, was) || !holds(given, text) {
			t.Fatalf("turn %d: %+v and %+v", turn, before, given)
		}
		before = given
	}
	b.Reset()
	b.Add(Event{})
	if b.Rewind(); !b.Empty() || !holds(before, "turn 9") {
		t.Error("a turn that goes on without having given anything touches what the last one gave")
	}
}

func TestTrimGivesBackWhatBothSidesUsed(t *testing.T) {
	b := openInbox(t)
	for range 2 {
		whole := b.Free()
		for i := range whole {
			whole[i] = 'x'
		}
		b.Keep(100)
		b.Add(Event{Kind: EventLog})
		b.Reset()
	}
	b.Trim()
	for _, s := range []*side{&b.side, &b.last} {
		end := (s.used + pageBytes - 1) &^ (pageBytes - 1)
		for i, octet := range s.memory[eventsBytes+end:] {
			if octet != 0 {
				t.Fatalf("octet %d of what is free was not released", i)
			}
		}
	}
}

func TestPointerOfNoBytes(t *testing.T) {
	if Pointer(nil) != 0 {
		t.Error("not nil")
	}
}
