package approval

import (
	"errors"
	"testing"

	"upgrader.dev/upgrader/engine"
)

func TestApproval(t *testing.T) {
	ann := []string{"ann", "bob"}
	tests := []struct {
		name      string
		approvers []string
		decision  engine.Decision
		pause     string
		fail      string
	}{
		{name: "nobody has decided", pause: "Go on?"},
		{name: "nobody of those who may", approvers: ann, pause: "Go on? (only ann, bob can answer)"},
		{name: "approved", decision: engine.Decision{Verdict: "approve", Who: "eve"}},
		{name: "approved by --yes", decision: engine.Decision{Verdict: "approve"}},
		{name: "approved by one who may", approvers: ann, decision: engine.Decision{Verdict: "approve", Who: "bob"}},
		{name: "approved by one who may not", approvers: ann, decision: engine.Decision{Verdict: "approve", Who: "eve"},
			pause: "Go on? (only ann, bob can answer), and eve said approve"},
		{name: "rejected by one who may not", approvers: ann, decision: engine.Decision{Verdict: "reject"},
			pause: "Go on? (only ann, bob can answer), and somebody without a name said reject"},
		{name: "rejected", decision: engine.Decision{Verdict: "reject", Who: "ann"}, fail: "rejected by ann: Go on?"},
		{name: "nonsense", decision: engine.Decision{Verdict: "maybe", Who: "ann"}, fail: `ann decided "maybe"; want approve or reject`},
	}
	for _, tt := range tests {
		a := &approval{Message: "Go on?", Approvers: tt.approvers}
		changes, err := a.Observe(t.Context(), engine.Scene{Decision: tt.decision})
		got := ""
		if err != nil {
			got = err.Error()
		}
		_, paused := errors.AsType[*engine.PausedError](err)
		if len(changes) > 0 || got != tt.pause+tt.fail || paused != (tt.pause != "") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if (&approval{Message: " "}).Validate() == nil {
		t.Error("an approval without a question is allowed")
	}
}
