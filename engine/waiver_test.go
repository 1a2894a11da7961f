package engine_test

import (
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// A waiver covers the place that it names letter by letter, whatever has a meaning in patterns there, and the places that its pattern
// fits as a whole.
func TestWaiversCoverPlaces(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		where, place string
		covers       bool
	}{
		{"", "w1", true},
		{"w1", "w1", true},
		{"w1", "w10", false},
		{"w*", "w10", true},
		{"w*", "cp1", false},
		{"w?", "w10", false},
		{"w[1-3]", "w2", true},
		{"w[1-3]", "w4", false},
		{"PodDisruptionBudget longhorn-system/*", "PodDisruptionBudget longhorn-system/instance-manager-7f", true},
		{"PodDisruptionBudget longhorn-system/*", "PodDisruptionBudget longhorn-system-2/x", false},
		{"PodDisruptionBudget *", "PodDisruptionBudget shop/cart", true},
		{"pod shop?cart-0 on w1", "pod shop/cart-0 on w1", true},
		{"https://[::1]:6443", "https://[::1]:6443", true}, // it would fit no place as a pattern
		{"is it?", "is it?", true},
		{`a\*b`, "a*b", true},
		{`a\*b`, "axb", false},
		{"a[", "a[", true}, // of a graph that was written before patterns were
		{"a[", "ab", false},
	} {
		w := engine.Waiver{Check: "host.swap", Where: tt.where, Until: now.Add(time.Hour)}
		if got := w.Covers("host.swap", tt.place, now); got != tt.covers {
			t.Errorf("%q covers %q: %t", tt.where, tt.place, got)
		}
	}
}
