package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/journal"
)

// failsStep has as many changes as it has words, each of a pod, which fail with them.
type failsStep struct{ words []string }

func (s *failsStep) Observe(context.Context, Scene) ([]Change, error) {
	changes := make([]Change, len(s.words))
	for i, why := range s.words {
		changes[i] = Change{Say: "evict its pods", Of: fmt.Sprintf("shop/cart-%d", i), Repeat: Convergent,
			Do: func(context.Context, Ticket) error { return errors.New(why) }}
	}
	return changes, nil
}

// What many changes fail of is told once, with one of them named and the others counted; what is another reason, or another
// pod's own, is told beside it.
func TestManyFailuresOfOneReason(t *testing.T) {
	var words []string
	for i := range 30 {
		words = append(words, fmt.Sprintf("evicting pod shop/cart-%d: Post \"https://api/namespaces/shop/pods/cart-%[1]d/eviction\": Unauthorized; the token expired at 10:32", i))
	}
	words[7] = "evicting pod shop/cart-7: it is protected"
	synctest.Test(t, func(t *testing.T) {
		log := &memory{w: newWorld()}
		start(t, &Runner{Graph: one("drain"), Run: "r", Log: log, Binder: binder{"drain": &failsStep{words}}})
		why := ""
		for _, rec := range log.records {
			if rec.Kind == journal.Settled {
				why = rec.Why
			}
		}
		for word, times := range map[string]int{"Unauthorized": 1, "shop/cart-7: it is protected": 1, "more like it": 1} {
			if got := strings.Count(why, word); got != times {
				t.Errorf("%q is told %d times in\n%s", word, got, why)
			}
		}
	})
}

// Failures are alike if nothing but what they are about tells them apart.
func TestAlike(t *testing.T) {
	for _, tt := range []struct {
		of, why []string
		want    []string
	}{
		{[]string{"a/x", "a/y"}, []string{"evicting a/x: no", "evicting a/y: no"}, []string{"evicting a/x: no\n(and 1 more like it)"}},
		{[]string{"a/x", "a/y"}, []string{"evicting a/x: no", "evicting a/y: never"}, []string{"evicting a/x: no", "evicting a/y: never"}},
		{[]string{"a/x", "b/x"}, []string{"in a: x", "in b: x"}, []string{"in a: x\n(and 1 more like it)"}},
		{[]string{"", "", ""}, []string{"one", "one", "two"}, []string{"one\n(and 1 more like it)", "two"}},
	} {
		var list []*Failure
		for i := range tt.of {
			list = append(list, &Failure{Of: tt.of[i], Why: tt.why[i]})
		}
		if d := cmp.Diff(tt.want, alike(list)); d != "" {
			t.Errorf("%q (-want +got)\n%s", tt.why, d)
		}
	}
}
