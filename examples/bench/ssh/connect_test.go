package ssh

import (
	"context"
	"testing"

	"upgrader.dev/upgrader/steps/remote"
)

// BenchmarkConnect is a new connection and the first question on it: to whoever answers, and to a machine that is asked first who
// it is, as every run does.
func BenchmarkConnect(b *testing.B) {
	known := func(context.Context, string, remote.Identity) error { return nil }
	for _, w := range []struct {
		name      string
		recognise remote.Recogniser
	}{{"believed", nil}, {"recognised", known}} {
		b.Run(w.name, func(b *testing.B) {
			s := start(b, nil)
			for b.Loop() {
				f := remote.NewFleet(remote.Config{Inventory: s.inventory(1), Dial: s.reach, Recognise: w.recognise})
				h, err := f.Host(name(0))
				if err == nil {
					_, err = h.Query(b.Context(), scriptOf(query))
				}
				if err != nil {
					b.Fatal(err)
				}
				_ = f.Close()
			}
		})
	}
}
