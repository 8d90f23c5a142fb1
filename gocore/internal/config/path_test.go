package config

import "testing"

func TestTheLongestPrefixCounts(t *testing.T) {
	all := ParsePaths([]byte("1 /\r\n2 /a\r\n3 /a/b/\r\nx /z\r\n5\r\n6 /with space\r\n"))
	for path, want := range map[string]uint64{
		"/": 1, "/b": 1, "/a": 2, "/a/": 2, "/ab": 1, "/a/b": 2, "/a/b/": 3, "/a/b/c": 3, "/a/bc": 2, "/z": 1, "/with space/x": 6, "*": 0, "": 0,
	} {
		got := uint64(0)
		if at := FindPath(all, []byte(path)); at > 0 {
			got = all[at-1].Value
		}
		if got != want {
			t.Errorf("%q: %d, not %d", path, got, want)
		}
	}
	if at := FindPath(nil, []byte("/")); at != 0 {
		t.Errorf("%d of none", at)
	}
}
