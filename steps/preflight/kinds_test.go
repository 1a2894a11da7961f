package preflight

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/survey"
)

// Every kind makes the checks of an area that there is, and is a gate with valid defaults that needs no cluster.
func TestKinds(t *testing.T) {
	var areas []string
	for _, c := range checks() {
		areas = append(areas, c.area)
	}
	for _, k := range Kinds(survey.Eyes{}) {
		if !slices.Contains(areas, k.Name) {
			t.Errorf("%s makes no check", k.Name)
		}
		if _, gate := k.New().(engine.Gate); !gate {
			t.Errorf("%s is no gate", k.Name)
		}
		if _, err := enginetest.Make(k, ""); err != nil {
			t.Errorf("%s: its defaults are not valid: %v", k.Name, err)
		}
	}
}

// No two checks have one name, each says what it finds, and the two that must not be waived cannot be.
func TestChecks(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.Name] || c.Doc == "" || !strings.Contains(c.Name, ".") {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
		if firm := c.Name == "etcd.quorum" || c.Name == "version.skew"; firm && !c.Firm {
			t.Errorf("%s can be waived", c.Name)
		}
	}
}

// A gate refuses with everything that blocks, and with nothing else.
func TestRefusal(t *testing.T) {
	blocker := finding.Finding{Check: "host.swap", Severity: finding.Blocker, Where: "w1", What: "swap is on", Remedy: "swapoff -a"}
	waived, warning, other := blocker, blocker, blocker
	waived.Waived = &engine.Waiver{}
	warning.Severity = finding.Warning
	other.Where, other.Remedy = "w2", "swapoff -a there"
	for name, tt := range map[string]struct {
		found       []finding.Finding
		why, remedy string
	}{
		"nothing":      {},
		"only a word":  {found: []finding.Finding{waived, warning}},
		"one":          {[]finding.Finding{blocker, warning}, "w1: swap is on (host.swap)", "swapoff -a"},
		"more of them": {[]finding.Finding{blocker, other}, "w1: swap is on (host.swap); w2: swap is on (host.swap)", "`upgrader preflight` tells"},
	} {
		t.Run(name, func(t *testing.T) {
			err := refusal(tt.found)
			var refused *engine.RefusedError
			switch {
			case tt.why == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.why == "":
			case !errors.As(err, &refused) || refused.Why != tt.why || !strings.HasPrefix(refused.Remedy, tt.remedy):
				t.Errorf("%v", err)
			}
		})
	}
}

// A waiver lets a finding of its check pass while it holds, but never one of a firm check.
func TestWaivers(t *testing.T) {
	for name, tt := range map[string]struct {
		check string
		until time.Time
		waive bool
	}{
		"while it holds": {"host.swap", now.Add(time.Hour), true},
		"afterwards":     {"host.swap", now, false},
		"a firm check":   {"host.root", now.Add(time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			v := healthy(t)
			onW1("unattended \n", "unattended \nswap /swapfile file 2097148 0 -2\n", "user 0", "user 1000")(t, v)
			v.Goal.Waivers = []engine.Waiver{{Check: tt.check, Where: "w1", Reason: "x", Until: tt.until}}
			for _, f := range Judge(v, hostFit) {
				if waived := f.Waived != nil; waived != (tt.waive && f.Check == tt.check) {
					t.Errorf("%s waived: %t", f.Check, waived)
				}
			}
		})
	}
}

// One waiver may name many places by a pattern. One that covers nothing, as by a slip of the pen, is told of in the whole report and
// in no gate; nobody is told of one that has ended, or that names no place.
func TestWaiversByPattern(t *testing.T) {
	for name, tt := range map[string]struct {
		where string
		until time.Time
		waive bool
		idle  string
	}{
		"all workers":      {"w*", now.Add(time.Hour), true, ""},
		"a slip":           {"v*", now.Add(time.Hour), false, "the plan waives host.swap here, and it finds nothing in such a place"},
		"it has ended":     {"v*", now, false, ""},
		"it names nothing": {"", now.Add(time.Hour), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := healthy(t)
			onW1("unattended \n", "unattended \nswap /swapfile file 2097148 0 -2\n")(t, v)
			v.Goal.Waivers = []engine.Waiver{{Check: "host.swap", Where: tt.where, Reason: "x", Until: tt.until}}
			var told string
			for _, f := range Judge(v) {
				if f.Check == "host.swap" && (f.Waived != nil) != tt.waive {
					t.Errorf("%s waived: %t", f.Check, f.Waived != nil)
				}
				if f.Check == "plan.waiver" {
					told = f.What
				}
			}
			if told != tt.idle {
				t.Errorf("told %q, want %q", told, tt.idle)
			}
			for _, f := range Judge(v, hostFit) {
				if f.Check == "plan.waiver" {
					t.Errorf("a gate tells %s", f.What)
				}
			}
		})
	}
}

// A gate never looks at a host that the run is in the middle of: a resume may be what makes it well again. Eyes that see
// nothing would panic here.
func TestGatesLetAResumeThrough(t *testing.T) {
	for _, k := range Kinds(survey.Eyes{}) {
		scene := engine.Scene{Target: engine.Target{Name: "w1"}, InWork: []string{"w1"}}
		if changes, err := k.New().Observe(t.Context(), scene); err != nil || changes != nil {
			t.Errorf("%s: %v %v", k.Name, changes, err)
		}
	}
}
