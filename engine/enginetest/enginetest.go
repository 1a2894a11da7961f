// Package enginetest holds what the tests of steps ask of them all.
package enginetest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// Kind is the one of that name.
func Kind(t testing.TB, kinds []engine.Kind, name string) engine.Kind {
	t.Helper()
	i := slices.IndexFunc(kinds, func(k engine.Kind) bool { return k.Name == name })
	if i < 0 {
		t.Fatalf("there is no kind %s", name)
	}
	return kinds[i]
}

// Made is a step with the settings that a plan writes under `with`, such as "unit: kubelet", and the defaults of all others. A
// default that is an expression over the plan has no plan here: give it, or it is zero.
func Made(t testing.TB, kind engine.Kind, with string) engine.Step {
	t.Helper()
	step, err := Make(kind, with)
	if err != nil {
		t.Fatalf("%s: %v", kind.Name, err)
	}
	return step
}

// Make is as Made, and the error says why a plan is refused that writes so.
func Make(kind engine.Kind, with string) (engine.Step, error) {
	if with == "" {
		with = "{}"
	}
	step := kind.New()
	if err := document.Decode("with", []byte(with), step); err != nil {
		return nil, err
	}
	if v, ok := step.(engine.Validator); ok {
		return step, v.Validate()
	}
	return step, nil
}

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
