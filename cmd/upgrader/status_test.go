package main

import (
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// A step that failed before it began, as for want of a fact, has taken no time.
func TestStatusOfAStepThatNeverBegan(t *testing.T) {
	now := time.Now()
	n := engine.NodeStatus{ID: "use@w1", Step: "use", Host: "w1", State: engine.Failed, Ended: now, Message: "nothing has told it"}
	lines := statusLines(manifest{ID: "r"}, engine.Summary{State: engine.Failed, Nodes: []engine.NodeStatus{n}}, style{}, now)
	if text := strings.Join(lines, "\n"); strings.Contains(text, "2562047") {
		t.Error(text)
	}
}
