// Package wait has the kind that lets time pass: wait. It may import engine only.
package wait

import (
	"context"
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine"
)

const doc = `Lets some time pass, counted from when the step first started, so that a resume goes on waiting instead of starting over.
It observes the clock, changes nothing and refuses nothing. A timeout, if one is given, has to be longer than the wait.`

// Kinds returns the kinds of this family.
func Kinds() []engine.Kind {
	return []engine.Kind{{Name: "wait", Doc: doc, Scope: engine.OnCluster, New: func() engine.Step { return &wait{} }}}
}

type wait struct {
	For time.Duration `yaml:"for" required:"true" doc:"How long, such as 30s or 10m."`
}

// Validate checks that there is something to wait for.
func (w *wait) Validate() error {
	if w.For <= 0 {
		return fmt.Errorf("for: want more than %v", w.For)
	}
	return nil
}

// DefaultTimeout leaves the wait its time.
func (w *wait) DefaultTimeout() time.Duration { return w.For + time.Minute }

func (w *wait) Observe(_ context.Context, s engine.Scene) ([]engine.Change, error) {
	until := s.Since.Add(w.For)
	if !s.Now.Before(until) {
		return nil, nil
	}
	return nil, engine.NotYet("until %s (%v in all)", until.Format("15:04:05"), w.For)
}
