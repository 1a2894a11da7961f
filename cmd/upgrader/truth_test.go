package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/journal"
)

// words are the changes of each host in their order, evictions of one drain as one. A word that a dry run could only
// announce with a condition is marked by it.
type word struct {
	Say string
	If  bool
}

func wordsOf(records []journal.Record) map[string][]word {
	hosts := map[string][]word{}
	for _, r := range records {
		if r.Kind != journal.Intent {
			continue
		}
		_, host, _ := strings.Cut(r.Node, "@")
		own := hosts[host]
		if n := len(own); n > 0 && own[n-1].Say == r.Say {
			continue
		}
		hosts[host] = append(own, word{r.Say, r.State == "would" && strings.HasPrefix(r.Why, "known after")})
	}
	return hosts
}

// kept leaves out the conditional words that did not come true.
func kept(announced, done []word) (words []string) {
	i := 0
	for _, w := range announced {
		if w.If && (i >= len(done) || done[i].Say != w.Say) {
			continue
		}
		words = append(words, w.Say)
		i++
	}
	return words
}

// A dry run leaves no trace, neither on the cluster nor here, and what it announces is what the run that follows does:
// the same words in the same order on every host.
func TestADryRunTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	v := newVictim(t, buildProgram(t), "", rand.New(rand.NewPCG(1, 1)))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd, _ := v.command(ctx)
	cmd.Args = append(cmd.Args, "--dry-run", "--output", "json")
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dry run: %v", err)
	}
	if effects, err := os.ReadFile(filepath.Join(v.dir, "effects.jsonl")); len(effects) > 0 {
		t.Errorf("a dry run changed the cluster (%v):\n%s", err, effects)
	}
	if _, err := os.Stat(filepath.Join(v.dir, "state")); err == nil {
		t.Error("a dry run made a state directory")
	}
	var announced []journal.Record
	for line := range strings.Lines(string(out)) {
		var r journal.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		announced = append(announced, r)
	}
	v.upgrade(0)
	would, did := wordsOf(announced), wordsOf(v.records())
	if len(did) < 8 || len(would) != len(did) {
		t.Fatalf("changes were announced for %d hosts and made on %d", len(would), len(did))
	}
	for host := range did {
		var real []string
		for _, w := range did[host] {
			real = append(real, w.Say)
		}
		if d := cmp.Diff(kept(would[host], did[host]), real); d != "" {
			t.Errorf("%s (-announced +done):\n%s", host, d)
		}
	}
}
