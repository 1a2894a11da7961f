package knowledge

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/document"
)

const oldest, newest = Minor(25), Minor(37) // the target minors that the data are for

func load(t *testing.T) *Base {
	t.Helper()
	b, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was written down about a source is kept: an entry without one is an opinion.
func TestEveryEntryHasASource(t *testing.T) {
	b := load(t)
	sources := map[string][]string{}
	add := func(what, source string) { sources[what] = append(sources[what], source) }
	for _, a := range b.all.APIs {
		add("API "+a.APIVersion()+" "+a.Kind, a.Source)
	}
	for _, f := range b.all.Flags {
		add("flag "+f.Component+" "+f.Names[0], f.Source)
	}
	for _, v := range b.all.Values {
		add("value "+v.Component+" "+v.Flag, v.Source)
	}
	for _, p := range b.all.Plugins {
		add("plugin "+p.Plugin, p.Source)
	}
	for _, g := range b.all.Gates {
		add("gates "+g.In.String(), g.Source)
	}
	for _, v := range b.all.Volumes {
		add("volume "+v.Name, v.Source)
	}
	for _, f := range b.all.Floors {
		for _, s := range []string{f.Source, f.Containerd.Source, f.Kernel.Source, f.Etcd.Source} {
			add("floor "+f.Target.String(), s)
		}
	}
	for _, k := range b.Repository.ExpiredKeys {
		add("key "+k.ID, k.Source)
	}
	for _, l := range b.Repository.Legacy {
		add("repository "+l.Hosts[0], l.Source)
	}
	for _, f := range b.all.Failures {
		add("failure "+f.ID, strings.Join(f.Sources, " "))
	}
	if len(sources) < 150 {
		t.Errorf("only %d entries were looked at", len(sources))
	}
	for what, all := range sources {
		for _, s := range all {
			if len(s) < 5 || strings.Contains(s, "/root") || strings.Contains(s, "/work") {
				t.Errorf("%s: the source %q says nothing", what, s)
			}
		}
	}
}

// The lists are in the order of minors, and speak of the minors that they are for.
func TestMinorsAreInRangeAndOrder(t *testing.T) {
	b := load(t)
	for name, list := range map[string][]Minor{
		"APIs":    minors(b.all.APIs, func(a API) Minor { return a.RemovedIn }),
		"flags":   minors(b.all.Flags, func(f removedFlags) Minor { return f.In }),
		"values":  minors(b.all.Values, func(v refusedValues) Minor { return v.In }),
		"plugins": minors(b.all.Plugins, func(p removedPlugin) Minor { return p.In }),
		"volumes": minors(b.all.Volumes, func(v Volume) Minor { return v.RemovedIn }),
	} {
		if len(list) == 0 || list[0] < oldest || list[len(list)-1] > newest || !slices.IsSorted(list) {
			t.Errorf("%s: %v", name, list)
		}
	}
	gates := minors(b.all.Gates, func(g gateChanges) Minor { return g.In })
	if gates[0] < 22 || gates[len(gates)-1] != newest || !increases(gates) {
		t.Errorf("gates: %v", gates)
	}
	floors := minors(b.all.Floors, func(f Floor) Minor { return f.Target })
	if floors[0] != oldest-1 || floors[len(floors)-1] != newest || len(floors) != int(newest-oldest)+2 || !increases(floors) {
		t.Errorf("floors: %v", floors)
	}
	for _, f := range b.all.Failures {
		if s := f.Minors; s.From > newest || s.To > newest || s.To != 0 && s.To < s.From {
			t.Errorf("failure %s: %v", f.ID, s)
		}
	}
}

func minors[T any](list []T, of func(T) Minor) []Minor {
	var all []Minor
	for _, x := range list {
		all = append(all, of(x))
	}
	return all
}

func increases(list []Minor) bool {
	return slices.IsSorted(list) && len(slices.Compact(slices.Clone(list))) == len(list)
}

// Nothing is said twice, which would be said differently some day.
func TestNothingIsThereTwice(t *testing.T) {
	b := load(t)
	seen := map[string]bool{}
	once := func(parts ...string) {
		key := strings.Join(parts, " ")
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
	for _, a := range b.all.APIs {
		once("API", a.APIVersion(), a.Kind)
	}
	for _, f := range b.all.Flags {
		for _, n := range f.Names {
			once("flag", f.Component, n)
		}
	}
	for _, v := range b.all.Values {
		once("value", v.Component, v.Flag, v.In.String())
	}
	for _, p := range b.all.Plugins {
		once("plugin", p.Plugin)
	}
	for _, g := range b.all.Gates {
		for _, n := range slices.Concat(g.LockedOn, g.LockedOff) {
			once("lock", n)
		}
		for _, n := range g.Removed {
			once("removal", n)
		}
	}
	for _, v := range b.all.Volumes {
		once("volume", v.Name)
	}
	for _, f := range b.all.Failures {
		once("failure", f.ID)
	}
}

// A file with a mistake is refused with its place, so that data cannot be lost in silence.
func TestMistakesInDataAreFaults(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown section": {"apsi: []\n", `x.yaml:1:1: unknown field "apsi"; did you mean "apis"?`},
		"no source":       {"plugins:\n  - {plugin: A, in: \"1.30\"}\n", `x.yaml:2:5: "source" is missing`},
		"not a minor":     {"plugins:\n  - {plugin: A, in: \"1.30.1\", source: s}\n", `x.yaml:2:21: "1.30.1" is not a minor version of Kubernetes: want one such as 1.27`},
		"component":       {"flags:\n  - {component: kublet, in: \"1.30\", names: [a], source: s}\n", `x.yaml:2:17: "kublet" is not a value of "component"; did you mean "kubelet"?`},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&Base{}).add("x.yaml", []byte(c.text))
			if faults := document.FaultsOf(err); len(faults) != 1 || faults[0].Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if err := (&Base{}).add("x.yaml", []byte("failures: [{patterns: [{match: '('}]}]\n")); !strings.Contains(cmp.Or(err, error(&document.Fault{})).Error(), "missing closing )") {
		t.Errorf("an expression that does not compile must be a fault: %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}
