package addresses

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const start = 1000 * time.Hour

func TestBurstAndRate(t *testing.T) {
	table, rate := private(t), RateOf(10, 3)
	k := KeyOf(address(192, 0, 2, 1))
	take := func(after time.Duration) bool { return table.Take(k, rate, start+after) }
	for i, c := range []struct {
		after time.Duration
		ok    bool
	}{
		{0, true}, {0, true}, {0, true}, {0, false}, // the burst
		{99 * time.Millisecond, false}, {100 * time.Millisecond, true}, {100 * time.Millisecond, false}, // a token each tenth of a second
		{time.Minute, true}, {time.Minute, true}, {time.Minute, true}, {time.Minute, false}, // never more than the burst
		{time.Minute - 50*time.Millisecond, false}, // another worker's turn began earlier
	} {
		if ok := take(c.after); ok != c.ok {
			t.Errorf("%d: after %v: %v", i, c.after, ok)
		}
	}
	if !table.Take(KeyOf(address(192, 0, 2, 2)), rate, start+time.Minute) {
		t.Error("another address is refused")
	}
}

func TestHighestAndLowestRates(t *testing.T) {
	table := private(t)
	k := KeyOf(address(192, 0, 2, 1))
	for _, r := range []Rate{RateOf(1<<20, 1<<20), RateOf(1, 1<<20), RateOf(1<<20, 1), RateOf(1, 1)} {
		n := 0
		for now := start; n < 1<<21 && table.Take(k, r, now); n++ {
		}
		if want := int(r.Full / r.Token); n != want {
			t.Errorf("%+v: %d tokens, not %d", r, n, want)
		}
		table.bucketOf(k).full.Store(0)
	}
}

// However many addresses come, a client within its rate is never refused, and one beyond it gains nothing.
func TestRandomAddressesHarmNobody(t *testing.T) {
	table, rate := private(t), RateOf(10, 5)
	lawful, greedy := KeyOf(address(192, 0, 2, 1)), KeyOf(address(192, 0, 2, 2))
	random := rand.New(rand.NewPCG(1, 2))
	now, got := start, 0
	for i := range 100_000 {
		now += 100 * time.Microsecond // 10 s in all
		if k := Key(random.Uint64()); !table.Take(k, rate, now) {
			t.Fatalf("address %d is refused its first request", i)
		}
		if i%1000 == 0 && !table.Take(lawful, rate, now) {
			t.Fatalf("the lawful client is refused after %v", now-start)
		}
		if table.Take(greedy, rate, now) {
			got++
		}
	}
	if got < 100 || got > 5+100+5 {
		t.Errorf("the greedy client got %d requests of the %d that it may send", got, 105)
	}
}

// Workers in processes of their own count as one.
func TestWorkersShareBuckets(t *testing.T) {
	fd := shared(t, 4)
	rate, k := RateOf(1, 1000), KeyOf(address(192, 0, 2, 1))
	var all sync.WaitGroup
	var got atomic.Int64
	for slot := 1; slot <= 4; slot++ {
		table := worker(t, fd, slot)
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(slot), 1))
			for range 1000 {
				if table.Take(k, rate, start) {
					got.Add(1)
				}
				table.Take(Key(random.Uint64()), rate, start)
			}
		})
	}
	all.Wait()
	if n := got.Load(); n != 1000 {
		t.Errorf("%d requests got through, not 1000", n)
	}
}

func TestTakingAllocatesNothing(t *testing.T) {
	table, k, rate := private(t), KeyOf(address(192, 0, 2, 1)), RateOf(1, 10)
	if n := testing.AllocsPerRun(100, func() { table.Take(k, rate, start) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	table, err := OpenPrivate()
	if err != nil {
		b.Fatal(err)
	}
	defer table.Close()
	rate, k := RateOf(1<<20, 100), KeyOf(address(192, 0, 2, 1))
	for i := range b.N {
		table.Take(k, rate, start+time.Duration(i)*time.Microsecond)
	}
}
