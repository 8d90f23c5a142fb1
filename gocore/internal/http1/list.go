// Lists and their parameters, in the values of fields (RFC 9110 5.6).  per request

package http1

// CutList splits the first element off a comma-separated list (RFC 9110 5.6.1).
func CutList(v []byte) (element, rest []byte, another bool) { return cutAt(v, ',') }

// listHas says whether a list has the element want, which is lower case.
func listHas(v []byte, want string) bool {
	for another := true; another; {
		var element []byte
		if element, v, another = CutList(v); equalFold(element, want) {
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
	value = trim(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return name, value, hasValue
}

func cutAt(v []byte, separator byte) (first, rest []byte, found bool) {
	for i, c := range v {
		if c == separator {
			return trim(v[:i]), v[i+1:], true
		}
	}
	return trim(v), nil, false
}
