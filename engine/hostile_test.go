package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// Whatever a step says, and however many changes fail at once: no record holds more than a few KiB of it, nor anything
// that a terminal obeys.
func TestARecordIsBriefAndClean(t *testing.T) {
	long := strings.Repeat(hostile.Text(), 1000)
	ill := func(context.Context, Ticket) error { return errors.New(long) }
	changes := make([]Change, 20)
	for i := range changes {
		changes[i] = Change{Say: long, Of: long, Repeat: Convergent, Do: ill}
	}
	for name, observe := range map[string]stepFunc{
		"an error":     func(context.Context, Scene) ([]Change, error) { return nil, errors.New(long) },
		"a refusal":    func(context.Context, Scene) ([]Change, error) { return nil, Refuse(long, long) },
		"a wait":       func(context.Context, Scene) ([]Change, error) { return nil, NotYet("%s", long) },
		"many changes": func(context.Context, Scene) ([]Change, error) { return changes, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &memory{w: newWorld()}
			s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": observe}})
			if s.State != Failed || len(log.records) < 4 {
				t.Errorf("%s: %s after %d records", name, s.State, len(log.records))
			}
			for _, rec := range log.records {
				hostile.Walk([]journal.Record{rec}, func(path, text string) {
					if what, found := hostile.Obeyed(text); found || len(text) > printable.Message {
						t.Errorf("%s, %s%s: %s in %d bytes", name, rec.Kind, path, what, len(text))
					}
				})
			}
		})
	}
}
