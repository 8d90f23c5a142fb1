// The cache of keys.

package tlsrecord

import (
	"testing"
)

func TestCache(t *testing.T) {
	var cache Cache
	sessions := make([]Session, 10)
	for i := range sessions {
		sessions[i] = Session{Version: TLS13, Suite: AES128GCM13, Owner: uint32(i + 1)}
		cache.Of(&sessions[i], 1, 10, 8)
	}
	if cache.Len() != 8 {
		t.Fatal("the cache grew to", cache.Len())
	}
	live := &sessions[9]
	keys := cache.Of(live, 1, 10, 8)
	if cache.Of(live, 2, 10, 8) != keys {
		t.Fatal("the keys of an active session were made again")
	}
	for i := range sessions[:9] { // all of them reuse entries that were not used for a while
		cache.Of(&sessions[i], 100, 10, 1000)
	}
	if cache.Len() > 9 {
		t.Fatal("the cache grew to", cache.Len(), "while entries were out of use")
	}
	cache.Of(live, 100, 10, 1000)
	cache.Forget(live)
	if one := cache.all[live.slot]; one.owner != 0 || one.open.aead != nil {
		t.Fatal("the keys of a session that has ended are kept")
	}
	if cache.Clear(); cache.Len() != 0 {
		t.Fatal(cache.Len())
	}
}

// TestCachedKeys: each session gets its own keys, however small the cache.
func TestCachedKeys(t *testing.T) {
	for _, most := range []int{1, 2, 5} {
		var cache Cache
		var servers, peers [4]*end
		for i := range servers {
			servers[i], peers[i] = pair(TLS13, suites[i%3].suite)
			servers[i].Owner = uint32(i + 1)
			servers[i].in.secret[0], peers[i].out.secret[0] = byte(i), byte(i)
			peers[i].Make(&peers[i].Session)
		}
		for round := range 20 {
			i := round * 7 % len(servers)
			record := peers[i].data([]byte("a"))
			s := &servers[i].Session
			if _, _, failure := s.Open(cache.Of(s, uint32(round), 3, most), record, 1); failure != nil {
				t.Fatal(most, round, failure)
			}
		}
	}
}
