// Package enginetest holds what the tests of steps ask of them all.
package enginetest

import (
	"errors"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
)

// Expect compares an observation's error with the words that it is to have, in the form it is to have: a wait, a refusal,
// or, where both are empty, no error.
func Expect(t testing.TB, err error, waits, refuses string) {
	t.Helper()
	switch {
	case waits != "":
		if _, ok := errors.AsType[*engine.NotYetError](err); !ok || !strings.Contains(err.Error(), waits) {
			t.Errorf("want to wait for %q, got %v", waits, err)
		}
	case refuses != "":
		if _, ok := errors.AsType[*engine.RefusedError](err); !ok || !strings.Contains(err.Error(), refuses) {
			t.Errorf("want a refusal with %q, got %v", refuses, err)
		}
	case err != nil:
		t.Errorf("want no error, got %v", err)
	}
}
