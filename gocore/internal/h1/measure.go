// What metrics count about the head of a request.

package h1

import (
	"strconv"

	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/transport"
)

// measure counts the request in d.head, and the time that it has waited in a queue, by a proxy that is believed.
func (d *Driver) measure(c *transport.Conn, buf []byte) {
	f := d.loop.Figures
	f.Requests[counters.Method(d.head.Method.In(buf))]++
	if !d.config.Proxies.Apply(&c.Client, true) {
		return
	}
	for _, field := range d.head.Fields {
		if string(field.Name.In(buf)) == "x-request-start" {
			if ns, ok := queued(string(field.Value.In(buf)), d.loop.Clock.Wall()); ok {
				f.Queue.Add(d.config.Buckets, ns)
			}
			return
		}
	}
}

// queued is the nanoseconds since the time that X-Request-Start gives: seconds with a fraction, as nginx writes them, milliseconds or
// microseconds since 1970, perhaps behind "t=". A time in the future is now: clocks differ.
func queued(value string, nowMS int64) (ns int64, ok bool) {
	if len(value) > 2 && value[:2] == "t=" {
		value = value[2:]
	}
	start, err := strconv.ParseFloat(value, 64)
	if err != nil || !(start > 1e9 && start < 1e17) {
		return 0, false
	}
	ms := start * 1000
	switch {
	case start > 1e14:
		ms = start / 1000
	case start > 1e11:
		ms = start
	}
	ns = int64((float64(nowMS) - ms) * 1e6)
	if ns > int64(limits.MostQueueTime) {
		return 0, false
	}
	return max(ns, 0), true
}
