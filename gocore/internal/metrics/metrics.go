// Package metrics writes the figures of all workers as Prometheus text (its exposition format 0.0.4).
//
// Any worker answers for all: the figures are in the table that they share, and the memory is in /proc.
package metrics

import (
	"strconv"

	"saltare/gocore/internal/counters"
	"saltare/gocore/internal/journal"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/transport"
)

// Page writes the text.
type Page struct {
	Table  *counters.Table
	Bounds []int64 // of the histograms, in nanoseconds

	Fresh bool // the last text is of this turn's wait, and is given again

	memory memory
	sum    counters.Figures
	shown  []shown
	b      []byte
}

// shown are the figures of one worker, or of two with one number, while one takes the place of the other.
type shown struct {
	number                          uint64
	connections, inFlight, requests uint64
	resident, private, longest      uint64
	sockets                         uint64
}

// Text is the metrics at a time in milliseconds since 1970, valid until the next call. stopping: the server is about to stop.
func (p *Page) Text(ms int64, stopping bool) []byte {
	if p.Fresh {
		return p.b
	}
	p.b, p.Fresh = p.b[:0], true
	p.Table.Sum(&p.sum)
	p.workers(ms)
	p.totals(stopping)
	p.each()
	return p.b
}

// workers collects what is said of each worker that serves.
func (p *Page) workers(ms int64) {
	p.shown = p.shown[:0]
	p.memory.begin(ms)
	for i := range p.Table.Slots() {
		slot := &p.Table.Slots()[i]
		if slot.State.Load() < counters.Serving {
			continue
		}
		now := &p.Table.FiguresOf(i).Now
		one := p.of(now.Number)
		resident, private := p.memory.of(int(slot.PID.Load()))
		one.connections += slot.Connections.Load()
		one.inFlight += slot.Streams.Load()
		one.requests += slot.Requests.Load()
		one.sockets += now.OpenSockets
		one.resident += resident
		one.private += private
		one.longest = max(one.longest, now.LongestAt(ms), uint64(slot.BusyFor(ms))*1e6)
	}
}

func (p *Page) of(number uint64) *shown {
	for i := range p.shown {
		if p.shown[i].number == number {
			return &p.shown[i]
		}
	}
	p.shown = append(p.shown, shown{number: number})
	return &p.shown[len(p.shown)-1]
}

func (p *Page) totals(stopping bool) {
	f := &p.sum
	var all shown
	for _, one := range p.shown {
		all.connections += one.connections
		all.inFlight += one.inFlight
		all.sockets += one.sockets
		all.resident += one.resident
		all.private += one.private
		all.longest = max(all.longest, one.longest)
	}
	state := uint64(0)
	if stopping {
		state = 1
	}
	p.single("saltare_health_state", gauge, "0: the server is healthy, 1: it is about to stop.", state)
	p.single("saltare_workers", gauge, "Workers that serve.", uint64(len(p.shown)))
	p.single("saltare_worker_restarts_total", counter, "Workers that have ended unexpectedly and were replaced.", p.Table.Lost())
	p.single("saltare_open_connections", gauge, "Open connections.", all.connections)
	p.single("saltare_in_flight_requests", gauge, "Requests in progress, open websockets included.", all.inFlight)
	p.single("saltare_open_websockets", gauge, "Open websockets.", all.sockets)
	p.labelled("saltare_requests_total", "Requests, also those that the server answered by itself.", "method", counters.MethodNames[:], f.Requests[:])
	p.labelled("saltare_responses_total", "Responses, by the class of their status.", "class", classes[:], f.Responses[:])
	p.single("saltare_responses_4xx_total", counter, "Responses with a status of 400 to 499.", f.Responses[3])
	p.single("saltare_responses_5xx_total", counter, "Responses with a status of 500 and more.", f.Responses[4])
	p.histogram("saltare_request_duration_seconds", "Time from the head of a request to the end of the app's response. Websockets do not count.", &f.Latency)
	p.histogram("saltare_request_queue_seconds", "Time from X-Request-Start of a proxy to the arrival of the request.", &f.Queue)
	p.labelled("saltare_refusals_total", "Requests and connections that the server has refused.", "reason", journal.Names[:], f.Refusals[:])
	p.single("saltare_connections_accepted_total", counter, "Connections accepted.", f.Accepted)
	p.labelled("saltare_connections_closed_total", "Connections closed.", "reason", transport.EndingNames[:], f.Closes[:])
	p.single("saltare_bytes_received_total", counter, "Bytes received from clients.", f.BytesIn)
	p.single("saltare_bytes_sent_total", counter, "Bytes sent to clients.", f.BytesOut)
	p.single("saltare_websockets_total", counter, "Websockets accepted.", f.WebSockets)
	p.labelled("saltare_websocket_messages_total", "Messages of websockets.", "direction", directions[:], []uint64{f.MessagesIn, f.MessagesOut})
	p.seconds("saltare_app_busy_seconds_total", counter, "Time that Python has kept the event loops busy.", f.Busy)
	p.single("saltare_app_stalls_total", counter, "Turns of an event loop in which Python took longer than 100 ms.", f.Stalls)
	p.seconds("saltare_app_longest_turn_seconds", gauge, "Longest turn of an event loop in Python, within the last one to two minutes.", all.longest)
	p.single("saltare_process_resident_memory_bytes", gauge, "Resident memory of the workers, each with its share of common pages.", all.resident)
	p.single("saltare_process_private_memory_bytes", gauge, "Memory of the workers that no other process shares.", all.private)
}

var (
	classes    = [counters.Classes]string{"1xx", "2xx", "3xx", "4xx", "5xx"}
	directions = [2]string{"received", "sent"}
)

// each writes the figures of the single workers.
func (p *Page) each() {
	for _, family := range [...]struct {
		name, kind, help string
		value            func(one *shown) uint64
		nanoseconds      bool
	}{
		{"saltare_worker_open_connections", gauge, "Open connections of a worker.", func(one *shown) uint64 { return one.connections }, false},
		{"saltare_worker_in_flight_requests", gauge, "Requests in progress in a worker.", func(one *shown) uint64 { return one.inFlight }, false},
		{"saltare_worker_requests_total", counter, "Requests of a worker since its start.", func(one *shown) uint64 { return one.requests }, false},
		{"saltare_worker_resident_memory_bytes", gauge, "Resident memory of a worker.", func(one *shown) uint64 { return one.resident }, false},
		{"saltare_worker_private_memory_bytes", gauge, "Memory of a worker that no other process shares.", func(one *shown) uint64 { return one.private }, false},
		{"saltare_worker_longest_turn_seconds", gauge, "Longest turn of a worker's event loop in Python, within the last one to two minutes.",
			func(one *shown) uint64 { return one.longest }, true},
	} {
		p.head(family.name, family.kind, family.help)
		for i := range p.shown {
			p.add(family.name, `{worker="`)
			p.b = strconv.AppendUint(p.b, p.shown[i].number, 10)
			p.add(`"} `)
			p.number(family.value(&p.shown[i]), family.nanoseconds)
		}
	}
}

const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

func (p *Page) add(texts ...string) {
	for _, text := range texts {
		p.b = append(p.b, text...)
	}
}

func (p *Page) head(name, kind, help string) {
	p.add("# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n")
}

// number ends a line with a number, or with one in nanoseconds as seconds.
func (p *Page) number(n uint64, nanoseconds bool) {
	if nanoseconds {
		p.b = strconv.AppendFloat(p.b, float64(n)/1e9, 'g', -1, 64)
	} else {
		p.b = strconv.AppendUint(p.b, n, 10)
	}
	p.b = append(p.b, '\n')
}

func (p *Page) single(name, kind, help string, n uint64) {
	p.head(name, kind, help)
	p.add(name, " ")
	p.number(n, false)
}

func (p *Page) seconds(name, kind, help string, ns uint64) {
	p.head(name, kind, help)
	p.add(name, " ")
	p.number(ns, true)
}

func (p *Page) labelled(name, help, label string, values []string, counts []uint64) {
	p.head(name, counter, help)
	for i, value := range values {
		p.add(name, "{", label, `="`, value, `"} `)
		p.number(counts[i], false)
	}
}

func (p *Page) histogram(name, help string, h *counters.Histogram) {
	p.head(name, histogram, help)
	sum := uint64(0)
	for i, bound := range p.Bounds {
		sum += h.Buckets[i]
		p.add(name, `_bucket{le="`)
		p.b = strconv.AppendFloat(p.b, float64(bound)/1e9, 'g', -1, 64)
		p.add(`"} `)
		p.number(sum, false)
	}
	sum += h.Buckets[len(p.Bounds)]
	p.add(name, `_bucket{le="+Inf"} `)
	p.number(sum, false)
	p.add(name, "_sum ")
	p.number(h.Nanoseconds, true)
	p.add(name, "_count ")
	p.number(sum, false)
}

// Compile-time check that a histogram has a bucket above its bounds.
const _ = uint(len(counters.Histogram{}.Buckets) - limits.MostBuckets - 1)
