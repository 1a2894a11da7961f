package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/go-multierror"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// TestExitCode proves the table of exit codes, also for errors that were wrapped on their way.
func TestExitCode(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing went wrong", nil, 0},
		{"any error", errors.New("x"), 1},
		{"changes pending", errPending, 2},
		{"wrong usage", invalid("x"), 3},
		{"faults of a plan", asInvalid(multierror.Append(nil, errors.New("a"), errors.New("b"))), 3},
		{"a closed gate", engine.Refuse("x", "y"), 4},
		{"a question", engine.Pause("x"), 5},
		{"lock of the cluster", &lockedError{errors.New("x")}, 6},
		{"journal in use", journal.ErrLocked, 6},
		{"fenced", engine.ErrFenced, 6},
		{"interrupted", errInterrupted, 130},
		{"cancelled", context.Canceled, 130},

		{"a run that is done", &runEnded{engine.Summary{State: engine.Done}}, 0},
		{"a run that failed", &runEnded{engine.Summary{State: engine.Failed}}, 1},
		{"a run that a gate stopped", &runEnded{engine.Summary{State: engine.Failed, Refused: true}}, 4},
		{"a run that waits for a person", &runEnded{engine.Summary{State: engine.Paused}}, 5},
		{"a run that was interrupted", &runEnded{engine.Summary{State: engine.Paused, Interrupted: true}}, 130},
		{"a run that failed while it was interrupted", &runEnded{engine.Summary{State: engine.Failed, Interrupted: true}}, 1},
		{"a run that was left", &runEnded{engine.Summary{State: engine.Running, Interrupted: true}}, 130},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
			}
			if tt.err == nil {
				return
			}
			if got := exitCode(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
				t.Errorf("wrapped: exitCode = %d, want %d", got, tt.want)
			}
		})
	}
}
