package addresses

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/limits"
)

func address(ip ...byte) *handoff.Address {
	a := &handoff.Address{Family: handoff.FamilyInet}
	if copy(a.IP[:], ip) == 16 {
		a.Family = handoff.FamilyInet6
	}
	return a
}

// shared is a table as saltare/prefork/addresses.py makes it, with that many slots.
func shared(t *testing.T, slots int) (fd int) {
	t.Helper()
	fd, err := unix.MemfdCreate("addresses", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(size(slots))); err != nil {
		t.Fatal(err)
	}
	head := binary.NativeEndian.AppendUint32(append([]byte("SALA"), 0, 0, 0, 0), uint32(slots))
	binary.NativeEndian.PutUint32(head[4:], version)
	head = append(append(head, 0, 0, 0, 0), "seedseed"...)
	if _, err := unix.Pwrite(fd, head, 0); err != nil {
		t.Fatal(err)
	}
	return fd
}

func worker(t *testing.T, fd, slot int) *Table {
	t.Helper()
	table, err := Open(fd, slot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return table
}

func private(t *testing.T) *Table {
	t.Helper()
	table, err := OpenPrivate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return table
}

func TestKeys(t *testing.T) {
	v6 := func(first byte, last byte) *handoff.Address {
		return address(first, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, last)
	}
	mapped := address(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1)
	loopback := address(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	if KeyOf(v6(0x20, 1)) != KeyOf(v6(0x20, 2)) {
		t.Error("a network of 64 bits has two keys")
	}
	if KeyOf(mapped) != KeyOf(address(192, 0, 2, 1)) {
		t.Error("an IPv4-mapped address has another key than the IPv4 address")
	}
	seen := map[Key]bool{0: true}
	for _, a := range []*handoff.Address{v6(0x20, 1), v6(0x21, 1), mapped, loopback, address(0, 0, 0, 0), address(0, 0, 0, 1), address(255, 255, 255, 255)} {
		if k := KeyOf(a); seen[k] {
			t.Errorf("%v has a key of another address, or 0", a)
		} else {
			seen[k] = true
		}
	}
}

func TestConnectionsOfAllWorkersCount(t *testing.T) {
	fd := shared(t, 3)
	one, other := worker(t, fd, 1), worker(t, fd, 3)
	k, stranger := KeyOf(address(192, 0, 2, 1)), KeyOf(address(192, 0, 2, 2))
	one.Enter(k)
	one.Enter(k)
	other.Enter(k)
	other.Enter(stranger)
	for _, table := range []*Table{one, other} {
		if n, m := table.Connections(k), table.Connections(stranger); n != 3 || m != 1 {
			t.Errorf("%d and %d connections", n, m)
		}
	}
	one.Leave(k)
	other.Leave(k)
	other.Leave(k) // counts nothing below 0
	if n := other.Connections(k); n != 1 {
		t.Errorf("%d connections", n)
	}
	one.Leave(k)
	if n := one.Connections(k); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// What a killed worker has counted ends with its flag, and its successor in the slot begins with nothing.
func TestConnectionsOfAnEndedWorkerDoNotCount(t *testing.T) {
	fd := shared(t, 2)
	one, other := worker(t, fd, 1), worker(t, fd, 2)
	k := KeyOf(address(192, 0, 2, 1))
	one.Enter(k)
	other.counted[0].Store(0) // as the master does
	if n := other.Connections(k); n != 0 {
		t.Errorf("%d connections", n)
	}
	successor := worker(t, fd, 1)
	successor.Enter(KeyOf(address(192, 0, 2, 9)))
	if n := other.Connections(k); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// Whoever has many connections stays known, however many others come and go, and nothing is counted twice.
func TestManyAddresses(t *testing.T) {
	table := private(t)
	busy := KeyOf(address(192, 0, 2, 1))
	for range 10 {
		table.Enter(busy)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var came []Key
	for range 100_000 {
		k := Key(random.Uint64() | 1<<40)
		table.Enter(k)
		came = append(came, k)
	}
	if n := table.Connections(busy); n != 10 {
		t.Errorf("%d connections", n)
	}
	for _, k := range came {
		table.Leave(k)
	}
	for _, k := range came {
		if n := table.Connections(k); n != 0 {
			t.Fatalf("%d connections are left", n)
		}
	}
	if n := table.Connections(busy); n != 10 {
		t.Errorf("%d connections", n)
	}
}

func TestTablesThatAreNotOurs(t *testing.T) {
	fd := shared(t, 2)
	for _, own := range []int{0, 3, -1} {
		if _, err := Open(fd, own); err != unix.EINVAL {
			t.Errorf("slot %d: %v", own, err)
		}
	}
	if _, err := unix.Pwrite(fd, []byte("X"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fd, 1); err != unix.EINVAL {
		t.Errorf("another magic: %v", err)
	}
	empty, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = empty.Close() }()
	if _, err := Open(int(empty.Fd()), 1); err != unix.EINVAL {
		t.Errorf("no table: %v", err)
	}
}

func TestNothingAllocates(t *testing.T) {
	table, k := private(t), KeyOf(address(192, 0, 2, 1))
	if n := testing.AllocsPerRun(100, func() {
		table.Enter(k)
		table.Connections(k)
		table.Leave(k)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSetsAreFilledEvenly(t *testing.T) {
	table := private(t)
	filled := make([]int, sets)
	for i := range limits.Addresses {
		filled[table.set(KeyOf(address(10, 0, byte(i>>8), byte(i))))]++
	}
	for set, n := range filled {
		if n > 5*limits.AddressWays {
			t.Errorf("%d of %d addresses in a row are in set %d", n, limits.Addresses, set)
		}
	}
}

func BenchmarkConnection(b *testing.B) {
	table, err := OpenPrivate()
	if err != nil {
		b.Fatal(err)
	}
	defer table.Close()
	k := KeyOf(address(192, 0, 2, 1))
	for range b.N {
		table.Connections(k)
		table.Enter(k)
		table.Leave(k)
	}
}
