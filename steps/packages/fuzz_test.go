package packages

import (
	"fmt"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// FuzzWorld proves that no answer about packages breaks who reads it, that nothing hostile comes out, and nothing long.
func FuzzWorld(f *testing.F) {
	f.Add("state|kubelet|ii|1.27.3-1.1\noffer|kubelet|1.28.15-1.1|https://pkgs.k8s.io\nbroken|kubelet|iF\norphan|1|sh\nlock|1|apt\njournal\nowed|kubelet\n")
	f.Add("source /etc/apt/sources.list.d/kubernetes.list:1:deb [signed-by=/etc/apt/keyrings/k.gpg] https://pkgs.k8s.io/core:/stable:/v1.27/deb/ /\n")
	f.Add("foreign|rpm\n" + hostile.Text())
	f.Add("|||||\nstate\noffer|\n")
	f.Fuzz(func(t *testing.T, stdout string) {
		w, err := readWorld("w1", printable.Text(stdout)) // as the client of the hosts hands it on
		said := []any{w, ""}
		if err != nil {
			said[1] = err.Error()
		} else {
			src, err := (&repository{URL: officialURL}).source(w, "1.28")
			said = append(said, src, fmt.Sprint(err), w.choice("kubelet"), fmt.Sprint(w.missing(revisions{"kubelet": "1"}, "")))
		}
		hostile.Check(t, said, 4*printable.Message)
	})
}

func TestReadingAWorldCostsInProportion(t *testing.T) {
	for _, line := range []string{"offer|kubelet|1.28.15-1.1|x\n", "state|kubelet|ii|1\n", "broken|x|iF\n", "source a:1:deb https://pkgs.k8s.io/core:/stable:/v1.27/deb/ /\n"} {
		hostile.InProportion(t, line, func(text string) {
			if w, err := readWorld("w1", text); err == nil {
				_, _ = (&repository{URL: officialURL}).source(w, "1.28")
				_ = w.choice("kubelet")
			}
		})
	}
}

// BenchmarkChoice: as many revisions as a host can tell of.
func BenchmarkChoice(b *testing.B) {
	for _, n := range []int{10_000, 80_000} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "offer|kubelet|1.28.%d-1.1|x\n", i)
		}
		w, err := readWorld("w1", text.String())
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				_ = w.choice("kubelet")
			}
		})
	}
}
