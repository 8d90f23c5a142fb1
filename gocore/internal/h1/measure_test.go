package h1

import "testing"

func TestTimeInAQueue(t *testing.T) {
	const now = 1_700_000_000_000
	for value, want := range map[string]int64{
		"t=1699999999.750": 250e6, "1699999999.750": 250e6, "1699999999750": 250e6, "t=1699999999750000": 250e6,
		"t=1700000000.000": 0, "1700000100": 0, // a clock that is ahead
		"1699990000": -1, "": -1, "t=": -1, "soon": -1, "5": -1, "NaN": -1, "Inf": -1, "1e300": -1, "-1699999999": -1,
	} {
		ns, ok := queued(value, now)
		if ok != (want >= 0) || ok && (ns < want-1e6 || ns > want+1e6) {
			t.Errorf("%q: %d, %v", value, ns, ok)
		}
	}
}
