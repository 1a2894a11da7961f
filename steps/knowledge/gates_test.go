package knowledge

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestGateProblem(t *testing.T) {
	b := load(t)
	for _, c := range []struct {
		name, gate  string
		on          bool
		after, upTo Minor
		want        string
	}{
		{"removed, on", "SeccompDefault", true, 28, 29, "1.29 removed"},
		{"removed, and locked before: nothing runs with it off", "SeccompDefault", false, 28, 29, "1.29 removed"},
		{"locked, and set so", "SeccompDefault", true, 26, 27, ""},
		{"locked, and set otherwise", "SeccompDefault", false, 26, 27, "1.27 locked to true"},
		{"locked since long, and set otherwise", "SeccompDefault", false, 27, 28, "1.27 locked to true"},
		{"the lock comes before the removal", "SeccompDefault", false, 26, 29, "1.27 locked to true"},
		{"before all that", "SeccompDefault", false, 25, 26, ""},
		{"removed before: not known", "SeccompDefault", true, 30, 31, "1.29 removed"},
		{"locked off", "GitRepoVolumeDriver", true, 35, 36, "1.36 locked to false"},
		{"locked off, and off", "GitRepoVolumeDriver", false, 35, 37, ""},
		{"removed without a lock", "PreventStaticPodAPIReferences", false, 36, 37, "1.37 removed"},
		{"still there", "PreventStaticPodAPIReferences", false, 34, 36, ""},
		{"never heard of", "AllAlpha", true, 24, 37, ""},
		{"locked before 1.25, removed after", "CSRDuration", false, 24, 25, "1.24 locked to true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, verdict(b.GateProblem(c.gate, c.on, c.after, c.upTo))); d != "" {
				t.Error(d)
			}
		})
	}
}

// A gate is locked first and removed then, never the other way round, and long ways meet no less than short ones.
func TestGatesAreLockedBeforeTheyAreRemoved(t *testing.T) {
	b := load(t)
	names := slices.Sorted(maps.Keys(b.gates))
	for name, g := range b.gates {
		if g.removed.in != 0 && g.removed.in <= g.locked.in {
			t.Errorf("%s is removed in %s and locked in %s", name, g.removed.in, g.locked.in)
		}
		if g.removed.in == 0 && g.locked.in < oldest {
			t.Errorf("%s is of no use here", name)
		}
	}
	if len(names) < 240 {
		t.Fatalf("only %d gates", len(names))
	}
	rapid.Check(t, func(t *rapid.T) {
		name, on := rapid.SampledFrom(names).Draw(t, "gate"), rapid.Bool().Draw(t, "on")
		after := Minor(rapid.IntRange(24, 36).Draw(t, "after"))
		upTo := Minor(rapid.IntRange(int(after), 37).Draw(t, "up to"))
		_, short := b.GateProblem(name, on, after, upTo)
		if _, long := b.GateProblem(name, on, after, upTo+1); short && !long {
			t.Errorf("%s=%t is refused from %s to %s and not a minor further", name, on, after, upTo)
		}
		_, other := b.GateProblem(name, !on, after, upTo)
		if gone := b.gates[name].removed.in; short && other && (gone == 0 || gone > upTo) {
			t.Errorf("%s is refused with either value although it is known", name)
		}
	})
}
