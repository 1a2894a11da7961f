package engine

import (
	"errors"
	"fmt"
)

// The four answers of a step that are not plain failures. Each is made by a function of this file and found again with
// errors.As or the Is functions; they survive wrapping.

// NotYetError says that there is nothing to do but wait.
type NotYetError struct{ Why string }

// Error begins with "not yet".
func (e *NotYetError) Error() string { return "not yet: " + e.Why }

// NotYet says, as the error of an observation, that nothing is left to do but wait, and why: in full words, naming what
// is waited for. As the error of a Change's Do it says that the change was refused for now and nothing happened.
func NotYet(format string, args ...any) error { return &NotYetError{fmt.Sprintf(format, args...)} }

// RefusedError says that a gate is closed: Why it is, and the Remedy.
type RefusedError struct{ Why, Remedy string }

// Error is the reason, and the remedy if there is one.
func (e *RefusedError) Error() string {
	if e.Remedy == "" {
		return e.Why
	}
	return e.Why + "; " + e.Remedy
}

// Refuse closes a gate. why names what was found and where; remedy says what a person can do about it.
func Refuse(why, remedy string) error { return &RefusedError{why, remedy} }

// PausedError says that a person has to decide before the step can go on.
type PausedError struct{ Why string }

// Error is the question.
func (e *PausedError) Error() string { return e.Why }

// Pause stops the run, resumable, until a person decides. why is the question.
func Pause(format string, args ...any) error { return &PausedError{fmt.Sprintf(format, args...)} }

// TransientError marks a failure that may be gone at the next try: a reset connection, a 503.
type TransientError struct{ Err error }

// Error is the failure's own text.
func (e *TransientError) Error() string { return e.Err.Error() }

// Unwrap is the failure.
func (e *TransientError) Unwrap() error { return e.Err }

// Transient marks err as one that may be gone at the next try and that changed nothing. Transient(nil) is nil.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return &TransientError{err}
}

// InDoubtError says that nobody knows whether an effect happened.
type InDoubtError struct{ Err error }

// Error begins with "outcome unknown".
func (e *InDoubtError) Error() string { return "outcome unknown: " + e.Err.Error() }

// Unwrap is what kept the outcome from being known.
func (e *InDoubtError) Unwrap() error { return e.Err }

// InDoubt says, as the error of a Change's Do, that the effect may or may not have happened. InDoubt(nil) is nil.
func InDoubt(err error) error {
	if err == nil {
		return nil
	}
	return &InDoubtError{err}
}

// ErrFenced says that a newer process of this run, or another run, has taken over: this one must not act any more.
var ErrFenced = errors.New("another upgrader has taken over")

// A fencedError is the end of a run that was taken over, in the words of who found that out: they hold those of ErrFenced.
type fencedError struct{ why string }

func (e *fencedError) Error() string { return e.why }
func (e *fencedError) Unwrap() error { return ErrFenced }

// ErrReadOnly is what clients of a dry run return for every attempt to write.
var ErrReadOnly = errors.New("this is a dry run: nothing may be written")

func isTransient(err error) bool { var e *TransientError; return errors.As(err, &e) }
func isInDoubt(err error) bool   { var e *InDoubtError; return errors.As(err, &e) }
func asNotYet(err error) (*NotYetError, bool) {
	var e *NotYetError
	return e, errors.As(err, &e)
}
func asRefused(err error) (*RefusedError, bool) {
	var e *RefusedError
	return e, errors.As(err, &e)
}
func asPaused(err error) (*PausedError, bool) {
	var e *PausedError
	return e, errors.As(err, &e)
}
