package tlsrecord

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// receive reads from raw until the server has opened n octets or has failed.
func (e *end) receive(t *testing.T, raw net.Conn, n int) (got []byte, failure *Failure) {
	t.Helper()
	var held []byte
	buf := make([]byte, 64<<10)
	for len(got) < n && failure == nil {
		size, err := raw.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, buf[:size]...)
		var plain []byte
		var used int
		plain, used, failure = e.opens(held)
		got = append(got, plain...)
		held = held[used:]
	}
	return got, failure
}

// TestCryptoTLS exchanges data with crypto/tls, and ends cleanly. Its client takes part in every suite of TLS 1.2; of TLS 1.3 it offers
// all, and the server chooses.
func TestCryptoTLS(t *testing.T) {
	for _, one := range suites {
		if one.version == TLS13 && one.suite != AES128GCM13 {
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			client, raw, server := shaken(t, one.version, one.suite)
			for _, n := range []int{1, 100, MaxPlainBytes, MaxPlainBytes + 1, 100_000} {
				want := bytes.Repeat([]byte{byte(n), 7, 1}, n)[:n]
				failed := make(chan error, 1)
				go func() { _, err := client.Write(want); failed <- err }()
				if got, failure := server.receive(t, raw, n); failure != nil || !bytes.Equal(got, want) {
					t.Fatal(n, failure)
				}
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
				go func() { _, err := raw.Write(server.data(want)); failed <- err }()
				got := make([]byte, n)
				if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
					t.Fatal(n, err)
				}
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if _, failure := server.receive(t, raw, 1); failure != Closed {
				t.Fatal(failure)
			}
			raw.Write(server.AppendAlert(&server.Keys, nil, Closed))
			if rest, err := io.ReadAll(client); err != nil || len(rest) > 0 {
				t.Fatal(rest, err)
			}
		})
	}
}

// TestKeyUpdateWithCryptoTLS: crypto/tls follows our change of keys, and answers a request for its own.
func TestKeyUpdateWithCryptoTLS(t *testing.T) {
	client, raw, server := shaken(t, TLS13, AES128GCM13)
	for round := range 3 {
		update := server.sealed(typeHandshake, []byte{keyUpdate, 0, 0, 1, 1})
		server.Keys.seal.next(&server.Session, &server.out)
		raw.Write(server.AppendSealed(&server.Keys, update, []byte("pong")))
		got := make([]byte, 4)
		if _, err := io.ReadFull(client, got); err != nil || string(got) != "pong" {
			t.Fatal(round, string(got), err)
		}
		before := server.in.secret
		go client.Write([]byte("ping"))
		if got, failure := server.receive(t, raw, 4); failure != nil || string(got) != "ping" {
			t.Fatal(round, string(got), failure)
		}
		if server.in.secret == before || server.in.seq != 1 {
			t.Fatal("the client has not changed its key")
		}
	}
}

// TestKeyUpdateIsAnswered: a peer that asks for our next key gets it before the next data, once for several requests.
func TestKeyUpdateIsAnswered(t *testing.T) {
	for _, suite := range []uint16{AES128GCM13, AES256GCM13, ChaCha13} {
		server, peer := pair(TLS13, suite)
		for range 2 {
			update := peer.sealed(typeHandshake, []byte{keyUpdate, 0, 0, 1, 1})
			peer.Keys.seal.next(&peer.Session, &peer.out)
			if plain, _, failure := server.opens(append(update, peer.data([]byte("a"))...)); failure != nil || string(plain) != "a" {
				t.Fatal(string(plain), failure)
			}
		}
		if plain, _, failure := peer.opens(server.data([]byte("b"))); failure != nil || string(plain) != "b" {
			t.Fatal(string(plain), failure)
		}
		if server.out.seq != 1 || server.owes || peer.owes {
			t.Fatal(server.out.seq, server.owes, peer.owes)
		}
	}
}

// TestKeysAreChangedInTime: a key seals a limited number of records.
func TestKeysAreChangedInTime(t *testing.T) {
	server, peer := pair(TLS13, AES128GCM13)
	server.out.seq, peer.in.seq = mostSealed-1, mostSealed-1
	for range 2 {
		if plain, _, failure := peer.opens(server.data([]byte("a"))); failure != nil || string(plain) != "a" {
			t.Fatal(string(plain), failure)
		}
	}
	if server.out.seq != 1 {
		t.Fatal(server.out.seq)
	}
}

// TestSplit: records that arrive in two pieces, cut at every octet, give the same data as at once.
func TestSplit(t *testing.T) {
	eachSuite(t, func(t *testing.T, version, suite uint16) {
		for cut := 0; ; cut++ {
			server, peer := pair(version, suite)
			stream := peer.data([]byte("first"))
			if version == TLS13 {
				stream = append(stream, peer.sealed(typeHandshake, []byte{keyUpdate, 0, 0, 1, 0})...)
				peer.Keys.seal.next(&peer.Session, &peer.out)
			}
			stream = append(append(stream, peer.data(nil)...), peer.sealed(typeData, nil)...)
			stream = append(append(stream, peer.data([]byte("second"))...), peer.sealed(typeAlert, []byte{1, 0})...)
			if cut > len(stream) {
				return
			}
			got, used, failure := server.opens(stream[:cut])
			if failure != nil && cut < len(stream) {
				t.Fatal(cut, failure)
			}
			if cut < len(stream) {
				var rest []byte
				rest, _, failure = server.opens(stream[used:])
				got = append(got, rest...)
			}
			if string(got) != "firstsecond" || failure != Closed {
				t.Fatal(cut, string(got), failure)
			}
		}
	})
}

// TestEnough: no record is opened beyond what is wanted.
func TestEnough(t *testing.T) {
	server, peer := pair(TLS13, AES128GCM13)
	stream := append(peer.data([]byte("12345")), peer.data([]byte("678"))...)
	n, used, failure := server.Open(&server.Keys, stream, 5)
	if n != 5 || used != len(stream)-HeaderBytes-3-1-tagBytes || failure != nil {
		t.Fatal(n, used, failure)
	}
	if n, _, failure = server.Open(&server.Keys, stream[used:], 1); n != 3 || failure != nil {
		t.Fatal(n, failure)
	}
}

// TestDamage: a record with any octet changed gives no data.
func TestDamage(t *testing.T) {
	eachSuite(t, func(t *testing.T, version, suite uint16) {
		_, peer := pair(version, suite)
		record := peer.data([]byte("data"))
		for i := range record {
			server, _ := pair(version, suite)
			damaged := bytes.Clone(record)
			damaged[i] ^= 1
			if plain, _, failure := server.opens(damaged); len(plain) > 0 || failure == nil && i != 3 && i != 4 {
				t.Fatalf("octet %d: %q, %v", i, plain, failure)
			}
		}
	})
}

func TestOrder(t *testing.T) {
	eachSuite(t, func(t *testing.T, version, suite uint16) {
		server, peer := pair(version, suite)
		first, second := peer.data([]byte("1")), peer.data([]byte("2"))
		if _, _, failure := server.opens(second); failure != badRecord {
			t.Fatal(failure)
		}
		if _, _, failure := server.opens(append(first, first...)); failure != badRecord {
			t.Fatal(failure)
		}
	})
}

// TestPeer is what a peer may send besides data, and how it ends.
func TestPeer(t *testing.T) {
	type record struct {
		kind byte
		data []byte
	}
	repeated := func(n int, r record) (all []record) {
		for range n {
			all = append(all, r)
		}
		return all
	}
	update := []byte{keyUpdate, 0, 0, 1, 0}
	for name, c := range map[string]struct {
		version uint16
		records []record
		want    *Failure
	}{
		"close_notify":                   {0, []record{{typeAlert, []byte{1, 0}}}, Closed},
		"close_notify, fatal":            {0, []record{{typeAlert, []byte{2, 0}}}, Closed},
		"user_canceled":                  {0, []record{{typeAlert, []byte{1, userCanceled}}}, nil},
		"fatal alert":                    {0, []record{{typeAlert, []byte{2, 40}}}, Alerted},
		"warning in 1.2":                 {TLS12, []record{{typeAlert, []byte{1, 40}}}, nil},
		"warning in 1.3":                 {TLS13, []record{{typeAlert, []byte{1, 40}}}, Alerted},
		"warnings without end":           {TLS12, repeated(mostIdle+1, record{typeAlert, []byte{1, 40}}), useless},
		"alert of one octet":             {0, []record{{typeAlert, []byte{1}}}, badAlert},
		"empty alert":                    {0, []record{{typeAlert, nil}}, badAlert},
		"two alerts in a record":         {0, []record{{typeAlert, []byte{1, 0, 1, 0}}}, badAlert},
		"empty records":                  {0, repeated(mostIdle, record{typeData, nil}), nil},
		"empty records without end":      {0, repeated(mostIdle+1, record{typeData, nil}), useless},
		"empty records, data between":    {0, append(repeated(mostIdle, record{typeData, nil}), append([]record{{typeData, []byte("a")}}, repeated(mostIdle, record{typeData, nil})...)...), nil},
		"change of ciphers":              {0, []record{{typeChangeCipherSpec, []byte{1}}}, unexpectedType},
		"unknown type":                   {0, []record{{99, []byte{1}}}, unexpectedType},
		"renegotiation":                  {TLS12, []record{{typeHandshake, []byte{1, 0, 0, 0}}}, renegotiation},
		"ClientHello":                    {TLS13, []record{{typeHandshake, []byte{1, 0, 0, 0}}}, unexpectedShake},
		"empty handshake":                {TLS13, []record{{typeHandshake, nil}}, unexpectedShake},
		"KeyUpdate in parts":             {TLS13, []record{{typeHandshake, update[:1]}, {typeHandshake, update[1:4]}, {typeHandshake, update[4:]}}, nil},
		"data between parts":             {TLS13, []record{{typeHandshake, update[:1]}, {typeData, []byte("a")}}, unexpectedType},
		"alert between parts":            {TLS13, []record{{typeHandshake, update[:1]}, {typeAlert, []byte{1, 0}}}, unexpectedType},
		"KeyUpdate and more":             {TLS13, []record{{typeHandshake, append(bytes.Clone(update), 1)}}, unexpectedShake},
		"KeyUpdate of another length":    {TLS13, []record{{typeHandshake, []byte{keyUpdate, 0, 0, 2, 0}}}, unexpectedShake},
		"KeyUpdate with another value":   {TLS13, []record{{typeHandshake, []byte{keyUpdate, 0, 0, 1, 2}}}, badKeyUpdate},
		"a record of 2^14 octets":        {0, []record{{typeData, make([]byte, MaxPlainBytes)}}, nil},
		"a record of 2^14 + 1 octets":    {0, []record{{typeData, make([]byte, MaxPlainBytes+1)}}, tooLong},
		"a record of 2^14 + 256 octets":  {TLS13, []record{{typeData, make([]byte, maxBody13)}}, tooLong},
		"a record of 2^14 + 2048 octets": {TLS12, []record{{typeData, make([]byte, maxBody12)}}, tooLong},
		"padding alone":                  {TLS13, []record{{0, make([]byte, 20)}}, noContentType},
		"padding and an empty record":    {TLS13, []record{{0, []byte{typeData, 0, 0}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			eachSuite(t, func(t *testing.T, version, suite uint16) {
				if c.version != 0 && c.version != version {
					t.Skip("of the other version")
				}
				server, peer := pair(version, suite)
				var failure *Failure
				for i, r := range c.records {
					if failure != nil {
						t.Fatalf("failed before record %d: %v", i, failure)
					}
					if _, _, failure = server.opens(peer.sealed(r.kind, r.data)); failure != nil && i+1 < len(c.records) {
						t.Fatalf("record %d: %v", i, failure)
					}
				}
				if failure != c.want {
					t.Fatalf("%v, want %v", failure, c.want)
				}
			})
		})
	}
}

func TestManyKeyUpdates(t *testing.T) {
	server, peer := pair(TLS13, AES128GCM13)
	for i := range mostIdle + 1 {
		record := peer.sealed(typeHandshake, []byte{keyUpdate, 0, 0, 1, 0})
		peer.Keys.seal.next(&peer.Session, &peer.out)
		if _, _, failure := server.opens(record); (failure == useless) != (i == mostIdle) {
			t.Fatal(i, failure)
		}
	}
}

func TestHeaders(t *testing.T) {
	server, peer := pair(TLS12, RSAWithAES128GCM)
	record := peer.data([]byte("a"))
	record[2] = 1
	if _, _, failure := server.opens(record); failure != wrongVersion {
		t.Fatal(failure)
	}
	if _, failure := Whole([]byte{typeData, 3, 3, 0x48, 1}); failure != tooLong {
		t.Fatal(failure)
	}
	for _, body := range []int{0, explicitBytes, explicitBytes + tagBytes - 1} {
		short := append([]byte{typeData, 3, 3, 0, byte(body)}, make([]byte, body)...)
		for _, one := range suites {
			server, _ := pair(one.version, one.suite)
			if _, _, failure := server.opens(short); failure != badRecord {
				t.Fatal(one.name, body, failure)
			}
		}
	}
}

// TestSequenceEnds: no number is used twice.
func TestSequenceEnds(t *testing.T) {
	server, peer := pair(TLS12, RSAWithAES128GCM)
	server.in.seq, peer.out.seq = 1<<64-1, 1<<64-1
	if _, _, failure := server.opens(peer.data([]byte("a"))); failure != exhausted {
		t.Fatal(failure)
	}
}

// TestNonces: the part of the nonce that a record of TLS 1.2 contains never repeats.
func TestNonces(t *testing.T) {
	server, _ := pair(TLS12, ECDSAWithAES256GCM)
	seen := map[string]bool{string(make([]byte, explicitBytes)): true} // of the Finished
	for range 1000 {
		nonce := string(server.data([]byte("a"))[HeaderBytes:][:explicitBytes])
		if seen[nonce] {
			t.Fatalf("%x again", nonce)
		}
		seen[nonce] = true
	}
}

// TestSealedBytes: the room that SealedBytes promises suffices, with a KeyUpdate as well.
func TestSealedBytes(t *testing.T) {
	eachSuite(t, func(t *testing.T, version, suite uint16) {
		for _, n := range []int{0, 1, MaxPlainBytes - 1, MaxPlainBytes, MaxPlainBytes + 1, 64 << 10} {
			server, _ := pair(version, suite)
			server.owes = version == TLS13
			if sealed := server.data(make([]byte, n)); len(sealed) > SealedBytes(n) {
				t.Fatal(n, len(sealed), SealedBytes(n))
			}
		}
	})
}

// TestAllocations: a record allocates nothing.
func TestAllocations(t *testing.T) {
	eachSuite(t, func(t *testing.T, version, suite uint16) {
		server, peer := pair(version, suite)
		data, buf := make([]byte, 1000), make([]byte, 0, 4096)
		allocated := testing.AllocsPerRun(100, func() {
			buf = peer.AppendSealed(&peer.Keys, buf[:0], data)
			if n, used, failure := server.Open(&server.Keys, buf, 1<<20); n != len(data) || used != len(buf) || failure != nil {
				t.Fatal(n, used, failure)
			}
		})
		if allocated != 0 {
			t.Fatal(allocated)
		}
	})
}
