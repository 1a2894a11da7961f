//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"upgrader.dev/upgrader/examples/lab/host"
)

// A finalError is one that asking again will not cure.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

func final(err error) error { return &finalError{err} }

// until asks every so often until the answer is nil, and returns the last answer if that takes too long.
func until(ctx context.Context, within, every time.Duration, ask func(context.Context) error) error {
	inTime, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("gave up after %s", within))
	defer cancel()
	for {
		err := ask(inTime)
		if stop, ok := errors.AsType[*finalError](err); ok {
			return stop.err
		}
		if err == nil {
			return nil
		}
		if over := host.Pause(inTime, every); over != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%w: %w", over, err)
		}
	}
}
