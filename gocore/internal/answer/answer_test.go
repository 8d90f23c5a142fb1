package answer

import (
	"bytes"
	"strings"
	"testing"

	"saltare/gocore/internal/http1"
)

type state struct{}

func (state) Stopping() bool  { return false }
func (state) Metrics() []byte { return []byte("figures") }

// answered is the answer to a GET of that target.
func answered(t *testing.T, rules Rules, target string) (Kind, Answer) {
	t.Helper()
	buf := []byte("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
	head := http1.Head{Limits: http1.DefaultLimits, Fields: make([]http1.Field, 0, 8)}
	if _, refusal := http1.ParseHead(&head, buf, 0); refusal != nil {
		t.Fatal(refusal)
	}
	kind := rules.Find(&head, buf, false)
	return kind, Of(kind, &head, buf, state{}, nil)
}

func TestThePageAndItsFigures(t *testing.T) {
	rules := Rules{Status: []byte("/status")}
	if !rules.Any() || !rules.Counts() {
		t.Error("a page alone is no rule, or nothing is counted for it")
	}
	for target, want := range map[string]string{"/status": "<!doctype html>", "/status?x=metrics": "<!doctype html>", "/status?metrics": "figures"} {
		kind, a := answered(t, rules, target)
		if kind != Status || a.Status != 200 || !bytes.HasPrefix(a.Body, []byte(want)) {
			t.Errorf("%s: %v, %d, %.40q", target, kind, a.Status, a.Body)
		}
	}
	if kind, _ := answered(t, rules, "/status/"); kind != ByApp {
		t.Errorf("a path below it is answered: %v", kind)
	}
}

// What the page needs comes from the server itself, and the policy allows nothing else.
func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	_, a := answered(t, Rules{Status: []byte("/status")}, "/status")
	if fields := string(a.Fields); !strings.Contains(fields, "default-src 'none'") {
		t.Errorf("%q", fields)
	}
	text := strings.ReplaceAll(string(a.Body), "http://www.w3.org/2000/svg", "") // a name, not an address
	for _, part := range []string{"http:", "https:", "//cdn", "src=", "@import", "url("} {
		if strings.Contains(text, part) {
			t.Errorf("the page contains %s", part)
		}
	}
}
