// Lists, their parameters, and numbers in field values (RFC 9110 5.6).

package octet

import "math"

// CutList splits the first element off a comma-separated list (RFC 9110 5.6.1).
func CutList(v []byte) (element, rest []byte, another bool) { return cutAt(v, ',') }

// ListHas tells whether a list has the element want, which must be lower case.
func ListHas(v []byte, want string) bool {
	for another := true; another; {
		var element []byte
		if element, v, another = CutList(v); EqualFold(element, want) {
			return true
		}
	}
	return false
}

// CutParameters splits off what precedes the first ";". It must not be used where quoted strings may hold ";" before that.
func CutParameters(v []byte) (first, rest []byte, more bool) { return cutAt(v, ';') }

// CutValue splits a parameter into its name and its value, without quotes.
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

// ParseLength parses a decimal number of octets (RFC 9110 8.6). ok is false if v is not a number, and fits is false if the number exceeds
// 63 bits.
func ParseLength(v []byte) (n int64, ok, fits bool) {
	fits = true
	for _, c := range v {
		digit := int64(c) - '0'
		if digit < 0 || digit > 9 {
			return -1, false, true
		}
		if n > (math.MaxInt64-digit)/10 {
			fits = false // continue: a later octet may not be a digit
			continue
		}
		n = n*10 + digit
	}
	return n, len(v) > 0, fits
}
