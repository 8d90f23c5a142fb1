// What is refused and why, as static values.

package message

import "strconv"

// Refusal is an error of the peer. All of them are package variables, so they compare by pointer
// and cost nothing to return. After one the connection's bytes have no meaning any more: answer
// and close.
type Refusal struct {
	Status  int    // of the response
	Reason  string // for the log, without values
	Section string // the rule that was broken
	Limit   int    // the fixed limit that was passed, in octets or as a count; 0: none, or one with an option
	Fields  string // complete lines that the response has besides
}

// Error words the refusal for the log. It allocates; the hot path never calls it.
func (r *Refusal) Error() string {
	text := r.Reason
	if r.Limit > 0 {
		text += ", the limit is " + strconv.Itoa(r.Limit)
	}
	return text + " (" + r.Section + ")"
}
