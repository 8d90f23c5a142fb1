// Lists and their parameters, and numbers, in the values of fields (RFC 9110 5.6).

package octet

import "math"

// CutList splits the first element off a comma-separated list (RFC 9110 5.6.1).
func CutList(v []byte) (element, rest []byte, another bool) { return cutAt(v, ',') }

// ListHas says whether a list has the element want, which is lower case.
func ListHas(v []byte, want string) bool {
	for another := true; another; {
		var element []byte
		if element, v, another = CutList(v); EqualFold(element, want) {
			return true
		}
	}
	return false
}

// CutParameters splits off what stands before the first ";", which no quoted string may hold.
func CutParameters(v []byte) (first, rest []byte, more bool) { return cutAt(v, ';') }

// CutValue splits a parameter into name and value, which loses its quotes.
func CutValue(parameter []byte) (name, value []byte, hasValue bool) {
	name, value, hasValue = cutAt(parameter, '=')
	value = Trim(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return name, value, hasValue
}

func cutAt(v []byte, separator byte) (first, rest []byte, found bool) {
	for i, c := range v {
		if c == separator {
			return Trim(v[:i]), v[i+1:], true
		}
	}
	return Trim(v), nil, false
}

// ParseLength reads a number of octets in decimal (RFC 9110 8.6). ok is false when v is no number, and fits when it is one beyond
// 63 bits.
func ParseLength(v []byte) (n int64, ok, fits bool) {
	fits = true
	for _, c := range v {
		digit := int64(c) - '0'
		if digit < 0 || digit > 9 {
			return -1, false, true
		}
		if n > (math.MaxInt64-digit)/10 {
			fits = false // unless a later octet is no digit at all
			continue
		}
		n = n*10 + digit
	}
	return n, len(v) > 0, fits
}
