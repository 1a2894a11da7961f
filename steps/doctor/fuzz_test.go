package doctor

import (
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
	"upgrader.dev/upgrader/steps/inquiry"
)

func endless() []string {
	return []string{
		"|E1122 03:10:17.2 1 x.go:1] cannot\n",
		"== component etcd\nruns 1\n== log etcd 1 1 1\n|2026-11-22T03:10:17.29Z stderr F error\n", "== journal kubelet\n|x\n", "== \n", "== job 1 1 kubeadm x\n|x\n",
	}
}

// FuzzHost proves that no answer of a host in trouble breaks the reader, that nothing hostile comes out, and no line that
// is long.
func FuzzHost(f *testing.F) {
	for _, section := range endless() {
		f.Add(section + section)
	}
	f.Fuzz(func(t *testing.T, stdout string) {
		h := &Host{}
		h.read(inquiry.Read(printable.Text(stdout), "").Base) // as the client of the hosts hands it on
		for _, c := range h.Components {
			for _, l := range c.Logs {
				_ = telling(l.texts(), mostLines)
			}
		}
		hostile.Check(t, h, printable.Message)
	})
}

// FuzzReadable proves that a line of a log stays clean when its JSON is decoded for people.
func FuzzReadable(f *testing.F) {
	f.Add(`{"level":"error","msg":"a\u001b]52;c;eA==\u0007","error":"\u202e\u009b"}`)
	f.Add("E1122 03:10:17.290 1 x.go:1] cannot \\\\\"x\\\"")
	f.Fuzz(func(t *testing.T, line string) {
		if what, found := hostile.Obeyed(Readable(printable.Text(line))); found {
			t.Error(what)
		}
	})
}

func TestReadingCostsInProportion(t *testing.T) {
	for _, section := range endless() {
		hostile.InProportion(t, section, func(text string) { (&Host{}).read(inquiry.Read(text, "").Base) })
	}
	hostile.InProportion(t, "nothing of interest\n", func(text string) { telling(strings.Split(text, "\n"), mostLines) })
}
