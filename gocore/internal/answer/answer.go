// Package answer is the requests that the server answers without the app: which they are, and what the answers say.
//
// Start at Rules.Find. Without rules a request costs one comparison, in the protocol's driver.
package answer

import (
	_ "embed" // for the page
	"strconv"

	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/message"
)

// Rules say which requests are answered without the app. The zero value answers none.
type Rules struct {
	Health    []byte // path; nil: none
	Metrics   []byte // path; nil: none
	Status    []byte // path of the page that draws the metrics, and with the query "metrics" of the metrics; nil: none
	Trace     []byte // path that saltare's Python side answers; nil: none
	Admin     bool   // the paths above are answered on listeners for admin alone
	Favicon   bool   // /favicon.ico
	Preflight bool   // any OPTIONS request with an Origin
}

// Any tells whether there are rules.
func (r *Rules) Any() bool {
	return r.Admin || r.Health != nil || r.Counts() || r.Favicon || r.Preflight
}

// Counts tells whether anything is counted for the metrics.
func (r *Rules) Counts() bool { return r.Metrics != nil || r.Status != nil }

// Kind is what a request is answered with.
type Kind uint8

const (
	ByApp Kind = iota // not answered here
	Health
	Metrics
	Status
	Favicon
	Preflight
	WrongMethod
	NotFound
)

const faviconPath = "/favicon.ico"

// Find decides about a request whose head lies in buf; admin: it came by a listener for admin, where nothing is for the app. A path of
// the rules belongs to the server, whatever the method.
func (r *Rules) Find(h *http1.Head, buf []byte, admin bool) Kind {
	method := h.Method.In(buf)
	if !admin && r.Preflight && string(method) == "OPTIONS" && len(field(h, buf, "origin")) > 0 {
		return Preflight
	}
	kind := r.ofPath(h.Path.In(buf), admin)
	if kind != ByApp && kind != NotFound && !h.IsHEAD && string(method) != "GET" {
		return WrongMethod
	}
	return kind
}

func (r *Rules) ofPath(path []byte, admin bool) Kind {
	here := admin == r.Admin && len(path) > 0 // CONNECT has none
	switch {
	case here && string(path) == string(r.Health):
		return Health
	case here && string(path) == string(r.Metrics):
		return Metrics
	case here && string(path) == string(r.Status):
		return Status
	case here && len(r.Trace) > 0 && string(path) == string(r.Trace):
		return ByApp
	case admin:
		return NotFound
	case r.Favicon && string(path) == faviconPath:
		return Favicon
	}
	return ByApp
}

// field is the value of the first field with that name in lower case; nil if there is none.
func field(h *http1.Head, buf []byte, name string) []byte {
	for _, f := range h.Fields {
		if string(f.Name.In(buf)) == name {
			return f.Value.In(buf)
		}
	}
	return nil
}

// Answer is a response. Fields are encoded as message.CutField reads them.
type Answer struct {
	Status int
	Fields []byte
	Body   []byte
}

// State is what answers depend on.
type State interface {
	// Stopping tells whether the server is about to stop.
	Stopping() bool
	// Metrics is the text of the metrics, valid until the next call.
	Metrics() []byte
}

// Of is the answer to a request of that kind. It appends to room.
func Of(kind Kind, h *http1.Head, buf []byte, state State, room []byte) Answer {
	switch {
	case kind == Preflight:
		return Answer{Status: 204, Fields: preflight(h, buf, room)}
	case kind == Favicon:
		return Answer{Status: 204, Fields: message.AppendField(room, "cache-control", "max-age=86400")}
	case kind == WrongMethod:
		return whole(405, plain, []byte("Method Not Allowed\n"), message.AppendField(room, "allow", "GET, HEAD"))
	case kind == NotFound:
		return whole(404, plain, []byte("Not Found\n"), room)
	case kind == Status && string(h.Query.In(buf)) != "metrics":
		fields := message.AppendField(message.AppendField(room, "cache-control", "no-store"), "content-security-policy", policy)
		return whole(200, html, page, fields)
	case kind == Metrics || kind == Status:
		return whole(200, exposition, state.Metrics(), message.AppendField(room, "cache-control", "no-store"))
	case state.Stopping():
		return whole(503, plain, []byte("draining"), message.AppendField(room, "cache-control", "no-store"))
	}
	return whole(200, plain, []byte("ok"), message.AppendField(room, "cache-control", "no-store"))
}

const (
	plain      = "text/plain; charset=utf-8"
	exposition = "text/plain; version=0.0.4; charset=utf-8"
	html       = "text/html; charset=utf-8"
)

// page asks for the metrics by itself, and for nothing else.
//
//go:embed status.html
var page []byte

const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// whole is an answer of that type, whose length is known.
func whole(status int, kind string, body, fields []byte) Answer {
	fields = message.AppendField(fields, "content-type", kind)
	return Answer{status, message.AppendField(fields, "content-length", strconv.Itoa(len(body))), body}
}

// preflight allows what the request asks for (Fetch 3.3.3). A "*" for the origin does not allow credentials.
func preflight(h *http1.Head, buf, to []byte) []byte {
	to = message.AppendField(to, "access-control-allow-origin", "*")
	if method := field(h, buf, "access-control-request-method"); len(method) > 0 {
		to = message.AppendField(to, "access-control-allow-methods", string(method))
	}
	if names := field(h, buf, "access-control-request-headers"); len(names) > 0 { // "*" would not include authorization
		to = message.AppendField(to, "access-control-allow-headers", string(names))
	}
	return message.AppendField(to, "access-control-max-age", "86400")
}
