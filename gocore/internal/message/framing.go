// How a response is framed: one table.
//
// The reader of a response has to know where it ends. It finds out from four things: the status, the method of the request, the
// version of the reader, and the fields content-length and transfer-encoding (RFC 9112 6.3). If one is wrong, the reader takes the
// next response on the connection for the rest of this one. So the app only declares a length. Everything else is decided here, for
// all statuses, methods and versions. What the app sends against the decision is dropped or refused.
//
// The first matching row of the table decides. Some rows are less obvious than they look:
//
//   - Interim responses and 204 must not carry content-length at all (RFC 9110 8.6). 304 and responses to HEAD may; it is then the length
//     of the body that was not sent.
//   - 205 has no content, but unlike for 204 readers do not know that, so it declares a length of 0 (RFC 9110 15.3.6).
//   - A response to HEAD without a declared length may name chunked (RFC 9112 6.1) but does not: it gains nothing, and a careless
//     reader would wait for the chunks.
//   - A 1.0 reader does not know chunks. For it the response ends where the connection does, which is also why an error must not end
//     such a response with a clean close.

package message

// BodyMode is how the body of a response is framed.
type BodyMode uint8

const (
	BodyNone       BodyMode = iota // no body: drop what the app sends
	BodyLength                     // as many octets as declared
	BodyChunked                    // each piece after its size, then the last chunk
	BodyUntilClose                 // unframed, until the connection ends
)

// lengthField is what to do with content-length.
type lengthField uint8

const (
	dropLength lengthField = iota // leave it out
	keepLength                    // as the app declared it, if at all
	zeroLength                    // 0, whatever the app declared
)

// traits are what decides besides the status.
type traits uint8

const (
	toHEAD   traits = 1 << iota
	to11            // the reader understands HTTP/1.1
	declared        // the app declared a content-length
	toAny    traits = 0
)

type framing struct {
	from, to uint16 // status
	needs    traits
	mode     BodyMode
	length   lengthField
}

var framings = [...]framing{
	{100, 199, toAny, BodyNone, dropLength},       // RFC 9110 15.2
	{204, 204, toAny, BodyNone, dropLength},       // RFC 9110 15.3.5
	{205, 205, toAny, BodyNone, zeroLength},       // RFC 9110 15.3.6
	{304, 304, toAny, BodyNone, keepLength},       // RFC 9110 15.4.5
	{200, 999, toHEAD, BodyNone, keepLength},      // RFC 9110 9.3.2
	{200, 999, declared, BodyLength, keepLength},  // RFC 9112 6.2
	{200, 999, to11, BodyChunked, dropLength},     // RFC 9112 7.1
	{200, 999, toAny, BodyUntilClose, dropLength}, // RFC 9112 6.3
}

func (a *Response) traits() (t traits) {
	if a.HEAD {
		t |= toHEAD
	}
	if a.Minor > 0 {
		t |= to11
	}
	if a.ContentLength >= 0 {
		t |= declared
	}
	return t
}

// Frame decides the framing of a, whose ContentLength is what the app declared.
func (a *Response) Frame() {
	row := framingOf(a.Status, a.traits())
	a.Mode = row.mode
	switch row.length {
	case dropLength:
		a.ContentLength = -1
	case zeroLength:
		a.ContentLength = 0
	}
	if a.Mode == BodyUntilClose {
		a.Close = true
	}
}

// Endless tells whether only the app knows where the body ends.
func (a *Response) Endless() bool { return a.Mode == BodyChunked || a.Mode == BodyUntilClose }

// framingOf finds the first matching row; the last row matches every final status.
func framingOf(status uint16, t traits) *framing {
	i := 0
	for ; i < len(framings)-1; i++ {
		row := &framings[i]
		if row.from <= status && status <= row.to && row.needs&^t == 0 {
			break
		}
	}
	return &framings[i]
}
