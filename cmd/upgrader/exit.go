package main

import (
	"context"
	"errors"
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/private"
)

// The exit codes are part of the program's interface: scripts decide by them. README has the same table.
const (
	exitDone        = 0   // done, or nothing to do
	exitFailed      = 1   // a step failed, or something else went wrong
	exitPending     = 2   // --detailed-exitcode: a dry run found changes to make
	exitInvalid     = 3   // wrong usage, an invalid plan or inventory, another cluster than the run began with
	exitRefused     = 4   // a gate is closed: version skew, an unhealthy cluster
	exitPaused      = 5   // paused and resumable: a person has to decide
	exitLocked      = 6   // another upgrader works on this run or this cluster
	exitInterrupted = 130 // stopped by a signal, resumable
)

// An invalidError is a mistake of the person who called: nothing was changed, calling again differently helps.
type invalidError struct{ err error }

func (e *invalidError) Error() string { return e.err.Error() }
func (e *invalidError) Unwrap() error { return e.err }

// invalid makes an invalidError out of words.
func invalid(format string, args ...any) error { return &invalidError{fmt.Errorf(format, args...)} }

// asInvalid marks err as a mistake of the caller. asInvalid(nil) is nil.
func asInvalid(err error) error {
	if err == nil {
		return nil
	}
	return &invalidError{err}
}

// A lockedError says who works on the run or the cluster already.
type lockedError struct{ err error }

func (e *lockedError) Error() string { return e.err.Error() }
func (e *lockedError) Unwrap() error { return e.err }

// A runEnded is a run that did not end well. Everything about it has been said when it is returned.
type runEnded struct{ summary engine.Summary }

func (e *runEnded) Error() string { return "the run is " + e.summary.State }

// hasEnded says whether an error is the end of a run.
func hasEnded(err error) bool {
	_, ended := errors.AsType[*runEnded](err)
	return ended
}

// errPending is the answer of a dry run with --detailed-exitcode that found changes.
var errPending = errors.New("changes are pending")

// errInterrupted is the answer of a command that a signal ended.
var errInterrupted = errors.New("interrupted")

// exitCode is the table of exit codes: from what a command returned to the number the shell sees.
func exitCode(err error) int {
	var (
		ended   *runEnded
		caller  *invalidError
		locked  *lockedError
		refused *engine.RefusedError
		blocked *blockedError
		paused  *engine.PausedError
		unsafe  *private.Error
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &ended):
		return exitOfRun(ended.summary)
	case errors.Is(err, errPending):
		return exitPending
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &locked), errors.Is(err, journal.ErrLocked), errors.Is(err, engine.ErrFenced):
		return exitLocked
	case errors.As(err, &caller), errors.As(err, &unsafe):
		return exitInvalid
	case errors.As(err, &refused), errors.As(err, &blocked):
		return exitRefused
	case errors.As(err, &paused):
		return exitPaused
	default:
		return exitFailed
	}
}

// exitOfRun is the part of the table that tells the ends of a run apart. A run that ended in a failure or a refusal
// says so even if a signal came as well: the number must lead to the cause.
func exitOfRun(s engine.Summary) int {
	switch {
	case s.State == engine.Done:
		return exitDone
	case s.Refused:
		return exitRefused
	case s.State == engine.Failed:
		return exitFailed
	case s.Interrupted:
		return exitInterrupted
	default:
		return exitPaused
	}
}
