// The wheel against a naive model of it, and its edge cases.

package timer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// model defines what a wheel should do, without slots.
type model struct {
	now uint32
	at  map[uint32]uint32
}

func (m *model) arm(i, at uint32) {
	at = min(max(at, m.now+1), m.now+slots-1)
	if before, armed := m.at[i]; armed {
		at = min(at, before)
	}
	m.at[i] = at
}

func (m *model) next() (at uint32, ok bool) {
	for _, a := range m.at {
		if !ok || a < at {
			at, ok = a, true
		}
	}
	return at, ok
}

// run returns the records that are due; those of one tick in the order of their numbers.
func (m *model) run(now uint32, fire func(i uint32)) (fired [][]uint32) {
	for {
		at, ok := m.next()
		if !ok || at > now {
			break
		}
		m.now = at
		var due []uint32
		for i, a := range m.at {
			if a == at {
				due = append(due, i)
			}
		}
		slices.Sort(due)
		for _, i := range due {
			delete(m.at, i)
			fire(i)
		}
		fired = append(fired, due)
	}
	m.now = max(m.now, now)
	return fired
}

func newWheel(n int) (*Wheel, []Node) {
	nodes := make([]Node, n)
	return &Wheel{Node: func(i uint32) *Node { return &nodes[i] }}, nodes
}

// runWheel is model.run for the wheel.
func runWheel(w *Wheel, now uint32, fire func(i uint32)) (fired [][]uint32) {
	var due []uint32
	tick := uint32(0)
	end := func() {
		if due != nil {
			slices.Sort(due)
			fired = append(fired, due)
			due = nil
		}
	}
	w.Run(now, func(i uint32) {
		if w.now != tick {
			end()
			tick = w.now
		}
		due = append(due, i)
		fire(i)
	})
	end()
	return fired
}

func TestWheelAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		compare(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func compare(t *testing.T, random *rand.Rand) {
	const records = 40
	w, nodes := newWheel(records)
	m := &model{at: map[uint32]uint32{}}
	for range 400 {
		i := random.Uint32N(records)
		switch random.Uint32N(8) {
		case 0:
			w.Remove(i, &nodes[i])
			delete(m.at, i)
		case 1, 2:
			now := m.now + random.Uint32N(1<<random.Uint32N(13))
			again := random.Uint32N(100)
			rearm := func(arm func(i, at uint32)) func(i uint32) {
				return func(i uint32) {
					if i%5 == 0 {
						arm(i, now+again)
					}
				}
			}
			got := runWheel(w, now, rearm(func(i, at uint32) { w.Arm(i, &nodes[i], at) }))
			want := m.run(now, rearm(m.arm))
			if !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("run to %d: fired %v, want %v", now, got, want)
			}
		default:
			at := m.now + random.Uint32N(1<<random.Uint32N(13))
			w.Arm(i, &nodes[i], at)
			m.arm(i, at)
		}
		same(t, w, nodes, m)
	}
}

func same(t *testing.T, w *Wheel, nodes []Node, m *model) {
	at, ok := w.Next()
	if wantAt, want := m.next(); ok != want || at != wantAt {
		t.Errorf("next is %d %v, want %d %v", at, ok, wantAt, want)
	}
	for i := range nodes {
		at, armed := m.at[uint32(i)]
		if nodes[i].Armed() != armed || armed && nodes[i].At() != at {
			t.Errorf("record %d: armed %v at %d, want %v %d", i, nodes[i].Armed(), nodes[i].At(), armed, at)
		}
	}
}

func TestArmNeverMovesToALaterTick(t *testing.T) {
	w, nodes := newWheel(1)
	w.Arm(0, &nodes[0], 10)
	w.Arm(0, &nodes[0], 20)
	if at, ok := w.Next(); !ok || at != 10 {
		t.Errorf("next is %d %v, want 10", at, ok)
	}
	w.Arm(0, &nodes[0], 5)
	if at, _ := w.Next(); at != 5 {
		t.Errorf("next is %d, want 5", at)
	}
}

func TestTheFarthestTickIsSeenInTime(t *testing.T) {
	w, nodes := newWheel(1)
	w.Run(12345, nil)
	w.Arm(0, &nodes[0], 12345+10*slots)
	if at, ok := w.Next(); !ok || at != 12345+slots-1 {
		t.Errorf("next is %d %v, want %d", at, ok, 12345+slots-1)
	}
}

func TestATickInThePastIsTheNextOne(t *testing.T) {
	w, nodes := newWheel(1)
	w.Run(100, nil)
	w.Arm(0, &nodes[0], 7)
	if at, ok := w.Next(); !ok || at != 101 {
		t.Errorf("next is %d %v, want 101", at, ok)
	}
}

func TestRemoveOfARecordThatIsNotIn(t *testing.T) {
	w, nodes := newWheel(2)
	w.Remove(0, &nodes[0])
	w.Arm(1, &nodes[1], 3)
	w.Remove(0, &nodes[0])
	if at, ok := w.Next(); !ok || at != 3 {
		t.Errorf("next is %d %v, want 3", at, ok)
	}
}

func TestWheelAllocatesNothing(t *testing.T) {
	w, nodes := newWheel(8)
	fire := func(i uint32) { w.Arm(i, &nodes[i], w.now+3) }
	now := uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		for i := range nodes {
			w.Arm(uint32(i), &nodes[i], now+uint32(i))
		}
		now += 5
		w.Run(now, fire)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
