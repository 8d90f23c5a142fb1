// The memory of processes, from /proc.

package metrics

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// memory keeps what was read for a while, because reading it costs more than everything else.
type memory struct {
	readAt int64 // milliseconds since 1970
	known  []process
	text   [4096]byte
}

type process struct {
	pid               int
	resident, private uint64
}

// begin forgets what is too old.
func (m *memory) begin(ms int64) {
	if age := ms - m.readAt; age < 0 || age >= limits.MemoryInterval.Milliseconds() {
		m.readAt, m.known = ms, m.known[:0]
	}
}

// of is the memory of a process in bytes; 0: unknown.
func (m *memory) of(pid int) (resident, private uint64) {
	for _, one := range m.known {
		if one.pid == pid {
			return one.resident, one.private
		}
	}
	resident, private = m.read(pid)
	m.known = append(m.known, process{pid, resident, private})
	return resident, private
}

// read reads the sums over all mappings, or else (proc(5): statm) the size and the pages without a file.
func (m *memory) read(pid int) (resident, private uint64) {
	folder := "/proc/" + strconv.Itoa(pid)
	rollup := m.file(folder + "/smaps_rollup")
	if resident = kilobytes(rollup, "\nRss:"); resident > 0 {
		return resident, kilobytes(rollup, "\nPrivate_Clean:") + kilobytes(rollup, "\nPrivate_Dirty:")
	}
	fields := bytes.Fields(m.file(folder + "/statm"))
	if len(fields) < 3 {
		return 0, 0
	}
	page := uint64(os.Getpagesize())
	pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	shared, _ := strconv.ParseUint(string(fields[2]), 10, 64)
	return pages * page, (pages - min(shared, pages)) * page
}

// file is the beginning of a file; nothing if it cannot be read.
func (m *memory) file(path string) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, m.text[:])
	return m.text[:max(n, 0)]
}

// kilobytes is the number on the line that begins with name, times 1024.
func kilobytes(text []byte, name string) uint64 {
	_, rest, found := bytes.Cut(text, []byte(name))
	if !found {
		return 0
	}
	fields := bytes.Fields(rest[:min(len(rest), 40)])
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseUint(string(fields[0]), 10, 64)
	return n << 10
}
