package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The same seed makes the same faults at the same operations of the same actor, whatever other actors do; another
// seed makes others.
func TestFaultsAreReproducible(t *testing.T) {
	sequence := func(seed uint64, others bool) []string {
		f := &Faults{Seed: seed, Rate: 0.2}
		var s []string
		for i := range 500 {
			if others {
				f.next("another", "x", "y")
			}
			if fault := f.next("api", faultBusy, faultReset, faultSlow); fault != "" {
				s = append(s, fmt.Sprint(i, " ", fault))
			}
		}
		return s
	}
	one := sequence(7, false)
	if !slices.Equal(one, sequence(7, true)) {
		t.Error("the faults of one actor depend on another")
	}
	if slices.Equal(one, sequence(8, false)) {
		t.Error("another seed makes the same faults")
	}
	if len(one) < 20 {
		t.Errorf("%d faults in 500 operations at a rate of 0.2", len(one))
	}
}

// Whoever tries again gets through: after a fault the actor's next operations meet none, even at the highest rate; and
// at some time there are no more.
func TestFaultsLeaveRoom(t *testing.T) {
	f := &Faults{Seed: 1, Rate: 1}
	var quiet, total int
	for range 10 * faultLimit {
		if f.next("api", faultBusy) == "" {
			quiet++
			continue
		}
		if total > 0 && quiet < quietStretch {
			t.Fatalf("only %d operations between two faults", quiet)
		}
		quiet, total = 0, total+1
	}
	if total != faultLimit {
		t.Errorf("%d faults, want the limit %d", total, faultLimit)
	}
	var none *Faults
	if none.next("api", faultBusy) != "" {
		t.Error("no faults were asked for, and there is one")
	}
}

func TestParseFaults(t *testing.T) {
	for in, want := range map[string]string{
		"seed=7,rate=0.05": "seed=7,rate=0.05", "rate=1": "seed=1,rate=1", "seed=3": "seed=3,rate=0.05", " seed=3 , rate=0": "seed=3,rate=0",
	} {
		f, err := ParseFaults(in)
		if err != nil || f.String() != want {
			t.Errorf("%q: %v %v, want %s", in, f, err, want)
		}
	}
	for in, want := range map[string]string{
		"": "not name=value", "seed": "not name=value", "seed=x": "invalid syntax", "rate=2": "not between 0 and 1",
		"rate=NaN": "not between 0 and 1", "speed=1": "unknown; there are seed and rate",
	} {
		if f, err := ParseFaults(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v %v, want %q", in, f, err, want)
		}
	}
}

// A caller that meets faults at every turn still gets its work done by trying again, and an answer that was lost is of
// a request that was carried out.
func TestFaultyAPI(t *testing.T) {
	c := begin(t, Options{ControlPlanes: 3, Workers: 1, Speed: 20, Faults: &Faults{Seed: 5, Rate: 0.5}})
	seen := map[string]int{}
	for i := range 200 {
		body := fmt.Sprintf(`{"metadata":{"annotations":{"n":"%d"}}}`, i)
		for try := 0; ; try++ {
			if try > 3 {
				t.Fatalf("change %d did not get through", i)
			}
			code, _, err := c.try("PATCH", "/api/v1/nodes/w1", asMerge, body)
			seen[fmt.Sprint(code)]++
			if err == nil && code == 200 {
				break
			}
		}
	}
	for _, code := range []string{"0", "200", "429", "500", "503"} {
		if seen[code] == 0 {
			t.Errorf("never met %s (0: reset): %v", code, seen)
		}
	}
	all, err := ReadEffects(c.c.Effects)
	if err != nil || len(all) != 200 {
		t.Errorf("%d effects, want 200: a repeated request changes nothing; %v", len(all), err)
	}
}
