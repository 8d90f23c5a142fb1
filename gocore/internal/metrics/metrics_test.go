package metrics

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"saltare/gocore/internal/counters"
)

func page(t *testing.T) *Page {
	t.Helper()
	table, err := counters.Alone()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	table.Figures().Now.Number = 1
	return &Page{Table: table, Bounds: []int64{5e6, 1e9}}
}

func TestEveryLineIsASampleOrAComment(t *testing.T) {
	line := regexp.MustCompile(`^(# (HELP|TYPE) saltare_[a-z0-9_]+ .+|saltare_[a-z0-9_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+)$`)
	for _, one := range strings.Split(strings.TrimSpace(string(page(t).Text(1, false))), "\n") {
		if !line.MatchString(one) {
			t.Errorf("%q", one)
		}
	}
}

func TestAHistogramIsCumulative(t *testing.T) {
	p := page(t)
	for _, ns := range []int64{1e6, 2e6, 5e8, 7e9} {
		p.Table.Figures().Latency.Add(p.Bounds, ns)
	}
	const name = "saltare_request_duration_seconds"
	want := name + `_bucket{le="0.005"} 2` + "\n" + name + `_bucket{le="1"} 3` + "\n" + name + `_bucket{le="+Inf"} 4` + "\n" +
		name + "_sum 7.503\n" + name + "_count 4\n"
	if text := string(p.Text(1, false)); !strings.Contains(text, want) {
		t.Errorf("%s is not in\n%s", want, text)
	}
}

func TestOneTextForOneWait(t *testing.T) {
	p := page(t)
	first := string(p.Text(1, false))
	p.Table.Figures().Accepted++
	if string(p.Text(2, false)) != first {
		t.Error("it is written again")
	}
	if p.Fresh = false; string(p.Text(2, false)) == first {
		t.Error("it is given again after the next wait")
	}
}

func TestHealth(t *testing.T) {
	p := page(t)
	if text := string(p.Text(1, true)); !strings.Contains(text, "\nsaltare_health_state 1\n") {
		t.Error(text)
	}
}

func TestMemoryOfAProcess(t *testing.T) {
	var m memory
	m.begin(1)
	resident, private := m.of(os.Getpid())
	if resident < 1<<20 || private == 0 || private > resident {
		t.Errorf("%d resident, %d private", resident, private)
	}
	if resident, private = m.of(1 << 30); resident != 0 || private != 0 {
		t.Error("a process that there is not has memory")
	}
	if len(m.known) != 2 {
		t.Errorf("%d are kept", len(m.known))
	}
	if m.begin(2); len(m.known) != 2 {
		t.Error("it is forgotten at once")
	}
	if m.begin(5000); len(m.known) != 0 {
		t.Error("it is never read again")
	}
}
