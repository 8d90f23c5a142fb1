// The field traceparent (W3C Trace Context, level 1): version, trace id, parent id and flags.

package identity

import "saltare/gocore/internal/limits"

// The parts of a traceparent, by their places.
const (
	traceAt   = 3
	traceEnd  = traceAt + 32
	parentAt  = traceEnd + 1
	parentEnd = parentAt + 16
	flagsAt   = parentEnd + 1
)

// Compile-time check of the length.
const _ = -(flagsAt + 2 - limits.TraceparentBytes)

// AppendTraceparent appends what a request passes on of the traceparent that it came with; nothing if that is malformed. A version
// later than ours is read as far as ours goes, and passed on as ours (section 4.3 of the recommendation).
func AppendTraceparent(to, text []byte) []byte {
	if !isTraceparent(text) {
		return to
	}
	return append(append(to, "00"...), text[2:limits.TraceparentBytes]...)
}

func isTraceparent(t []byte) bool {
	if len(t) < limits.TraceparentBytes || t[2] != '-' || t[traceEnd] != '-' || t[parentEnd] != '-' {
		return false
	}
	if !isHex(t[:2]) || string(t[:2]) == "ff" || !isHex(t[flagsAt:limits.TraceparentBytes]) {
		return false
	}
	if more := t[limits.TraceparentBytes:]; len(more) > 0 && (string(t[:2]) == "00" || more[0] != '-') {
		return false
	}
	return isName(t[traceAt:traceEnd]) && isName(t[parentAt:parentEnd])
}

// isName tells whether a text is hex digits, not all of them 0.
func isName(text []byte) bool {
	for _, c := range text {
		if c != '0' {
			return isHex(text)
		}
	}
	return false
}

func isHex(text []byte) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// AppendNewTrace appends a traceparent that begins a trace. It says that the trace is sampled: most libraries do not record what
// belongs to a trace that is not.
func (s *Source) AppendNewTrace(to []byte) []byte {
	to = append(s.appendRandom(append(to, "00-"...), idOctets), '-')
	return append(s.appendRandom(to, idOctets/2), "-01"...)
}

// TraceID is the trace id in a traceparent.
func TraceID(traceparent []byte) []byte { return traceparent[traceAt:traceEnd] }
