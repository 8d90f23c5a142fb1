// Errors of the peer, as static values.

package message

import "strconv"

// Refusal is an error of the peer. All are package variables, so they compare by pointer and cost nothing to return. After a refusal,
// unless Keeps is set, the rest of the input has no meaning: respond and close.
type Refusal struct {
	Status  int    // of the response
	Reason  string // for the log, without values
	Section string // the rule that was violated
	Limit   int    // the fixed limit that was exceeded, in octets or as a count; 0: none, or the limit is an option
	Fields  string // additional fields of the response, as complete lines
	Keeps   bool   // the request itself is well-formed: if it is complete, the connection stays
}

// Error formats the refusal for the log. It allocates; the hot path never calls it.
func (r *Refusal) Error() string {
	text := r.Reason
	if r.Limit > 0 {
		text += ", the limit is " + strconv.Itoa(r.Limit)
	}
	return text + " (" + r.Section + ")"
}
