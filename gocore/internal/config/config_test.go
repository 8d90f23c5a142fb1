// Conversion of time options into ticks.

package config

import "testing"

func TestTicksRoundUp(t *testing.T) {
	for ms, want := range map[uint32]uint32{0: 0, 1: 1, 16: 1, 17: 2, 1000: 63} {
		if got := Ticks(ms); got != want {
			t.Errorf("%d ms are %d ticks, not %d", ms, got, want)
		}
	}
}
