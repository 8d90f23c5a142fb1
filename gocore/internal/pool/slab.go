// Package pool is memory outside Go's heap: records in slabs, and buffers by size class.
//
// The garbage collector does not scan it, so it must hold no Go pointers. C may read it.
package pool

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"saltare/gocore/internal/limits"
)

// Map returns n zeroed bytes of private memory; each page becomes resident when it is touched.
func Map(n int) ([]byte, error) {
	return mapped(-1, n, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
}

// MapSecret is Map for what must not be in core dumps (core(5)).
func MapSecret(n int) ([]byte, error) {
	b, err := Map(n)
	if err == nil {
		_ = unix.Madvise(b, unix.MADV_DONTDUMP) // it fails for no mapping of ours
	}
	return b, err
}

// MapShared maps the first n bytes of a file that other processes map too.
func MapShared(fd, n int) ([]byte, error) { return mapped(fd, n, unix.MAP_SHARED) }

// mapped is unix.Mmap without its table of mappings.
func mapped(fd, n, flags int) ([]byte, error) {
	memory, err := unix.MmapPtr(fd, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(memory), n), nil
}

// Unmap unmaps the result of Map or MapShared.
func Unmap(b []byte) { _ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))) }

// Slab allocates records of T by number. T must hold no pointers. After growing, the lowest free number comes first, later the last
// freed one, so a small server stays in its first pages.
type Slab[T any] struct {
	chunks  [][]byte
	free    List[uint32]
	next    uint32
	live    int
	dirty   bool // a record was freed since the last Release
	perBits uint
	Secret  bool // its records must not be in core dumps
}

func (s *Slab[T]) init() {
	size := unsafe.Sizeof(*new(T))
	for (size << (s.perBits + 1)) <= limits.SlabChunkBytes {
		s.perBits++
	}
}

// Alloc returns a zeroed record and its number.
func (s *Slab[T]) Alloc() (uint32, *T, error) {
	if s.perBits == 0 {
		s.init()
	}
	var i uint32
	if s.free.Len() > 0 {
		i = s.free.Pop()
	} else {
		i = s.next
		if int(i>>s.perBits) == len(s.chunks) {
			chunk, err := s.newChunk()
			if err != nil {
				return 0, nil, err
			}
			s.chunks = append(s.chunks, chunk)
		}
		s.next++
	}
	s.live++
	t := s.At(i)
	*t = *new(T)
	return i, t, nil
}

func (s *Slab[T]) newChunk() ([]byte, error) {
	if s.Secret {
		return MapSecret(limits.SlabChunkBytes)
	}
	return Map(limits.SlabChunkBytes)
}

// At is the record with number i, which must have been allocated at least once.
func (s *Slab[T]) At(i uint32) *T {
	chunk := s.chunks[i>>s.perBits]
	at := uintptr(i&(1<<s.perBits-1)) * unsafe.Sizeof(*new(T))
	return (*T)(unsafe.Pointer(&chunk[at]))
}

// Has tells whether number i was ever allocated.
func (s *Slab[T]) Has(i uint32) bool { return i < s.next }

func (s *Slab[T]) Free(i uint32) {
	s.free.Append(i)
	s.live--
	s.dirty = true
}

// Live is the number of records in use.
func (s *Slab[T]) Live() int { return s.live }

// Len is the highest number ever allocated, plus 1.
func (s *Slab[T]) Len() uint32 { return s.next }

// Release releases the chunks after the last record in use, except the first chunk, and the pages of earlier chunks with no record in
// use. It returns how many bytes.
func (s *Slab[T]) Release() (released int) {
	if !s.dirty {
		return 0
	}
	s.dirty = false
	used := s.usedByChunk()
	keep := len(s.chunks)
	for keep > 1 && used[keep-1] == 0 {
		keep--
	}
	for i, chunk := range s.chunks {
		switch {
		case i >= keep:
			Unmap(chunk)
		case used[i] == 0:
			Discard(chunk)
		default:
			continue
		}
		released += len(chunk)
	}
	s.chunks = Fitted(s.chunks[:keep])
	s.next = min(s.next, uint32(keep)<<s.perBits)
	if s.live == 0 {
		s.next = 0
	}
	s.free.Delete(func(i uint32) bool { return i >= s.next })
	s.free.Release()
	return released
}

// usedByChunk is the number of records in use in each chunk.
func (s *Slab[T]) usedByChunk() []uint32 {
	used := make([]uint32, len(s.chunks))
	for i := range used {
		used[i] = min(s.next-uint32(i)<<s.perBits, 1<<s.perBits)
	}
	for _, i := range s.free.Items() {
		used[i>>s.perBits]--
	}
	return used
}

// Close releases all records.
func (s *Slab[T]) Close() {
	for _, chunk := range s.chunks {
		Unmap(chunk)
	}
	s.free.Close()
	*s = Slab[T]{}
}

// Discard releases the pages of a mapping but keeps the mapping.
func Discard(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }
