package etcd

import (
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/inquiry"
)

// FuzzReport proves that no answer of etcdctl breaks who reads and judges it, and that nothing hostile comes out.
func FuzzReport(f *testing.F) {
	f.Add(said())
	f.Add(said(`"name":"cp1"`, `"name":"cp1\u001b]52;c;eA==\u0007\u202e"`, `"version":"3.5.15"`, `"version":"\u009b3.5.15"`) + "|memberID:1 alarm:NOSPACE\n")
	f.Add("== kind\nexternal\n== members\n|{\"members\":[{}]}\n== health\n|[{\"error\":\"\\u001b[2J\"}]\n")
	f.Fuzz(func(t *testing.T, stdout string) {
		r, err := read(inquiry.Read(printable.Text(stdout), "").Base) // as the client of the hosts hands it on
		words := ""
		if err != nil {
			words = err.Error()
		} else if err := r.judge("cp1", "complaint"); err != nil {
			words = err.Error()
		}
		hostile.Check(t, []any{r, words}, 0)
	})
}

func TestReadingAReportCostsInProportion(t *testing.T) {
	for _, line := range []string{"x\n", "== kind\nx\n", "== alarms\n|memberID:1 alarm:NOSPACE\n", "== members\n|{}\n"} {
		hostile.InProportion(t, line, func(text string) { _, _ = read(inquiry.Read(text, "").Base) })
	}
}

func TestAReportOfTooManyMembersIsRefused(t *testing.T) {
	members := strings.Repeat(`{"ID":1},`, 200) + "{}"
	if _, err := read(inquiry.Read("== kind\nstacked\n== members\n|{\"members\":["+members+"]}\n", "").Base); err == nil || !strings.Contains(err.Error(), "201 members") {
		t.Error(err)
	}
}
