package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/sandbox"
)

// A node is taken away in the middle of its upgrade. What stops says that, with the command that goes on without it, and that
// command does.
func TestANodeIsTakenAway(t *testing.T) {
	b := newNight(t, 3)
	said := b.loses("w2")
	way := regexp.MustCompile(`to go on without it: take it out of (\S+), then upgrader (resume \S+ --accept-plan-change --settle w2=done)`).FindStringSubmatch(said)
	if way == nil {
		t.Fatalf("it does not say how to go on:\n%s", said)
	}
	b.takeOut(way[1], "w2")
	if code, said := b.upgrader(append(strings.Fields(way[2]), "--yes")...); code != 0 || b.did(sandbox.EffectCordon, "w3") != 1 {
		t.Errorf("%s: exit code %d:\n%s", way[2], code, said)
	}
}

// Where the cluster names the hosts, another run does the rest: it takes those that are left, as this inventory then does.
func TestAnotherRunGoesOnWithoutANode(t *testing.T) {
	s := &session{manifest: manifest{ID: "r", PlanPath: "plan.yaml"}}
	if way := s.without("w2"); way != "begin anew with the nodes that there are: upgrader run plan.yaml, with the same --var" {
		t.Errorf("it says %q", way)
	}
	b := newNight(t, 3)
	b.loses("w2")
	b.takeOut(b.Inventory, "w2")
	if code, said := b.upgrade(); code != 0 || b.did(sandbox.EffectCordon, "w1") != 1 || b.did(sandbox.EffectCordon, "w3") != 1 {
		t.Errorf("exit code %d, w1 cordoned %d times, w3 %d:\n%s", code, b.did(sandbox.EffectCordon, "w1"), b.did(sandbox.EffectCordon, "w3"), said)
	}
}

// loses has a node taken away once its drain has begun, and returns what the run says then.
func (b *night) loses(name string) string {
	b.t.Helper()
	go func() {
		for b.did(sandbox.EffectCordon, name) == 0 && b.t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		_ = b.RemoveNode(name)
	}()
	code, said := b.upgrade()
	if code == 0 || !strings.Contains(said, name+" now: its node was there when this run began and is gone since") {
		b.t.Fatalf("exit code %d:\n%s", code, said)
	}
	return said
}

// takeOut takes a host out of an inventory.
func (b *night) takeOut(inventory, host string) {
	text := textOf(b.t, inventory)
	without := regexp.MustCompile(`(?m)^.*name: `+host+`,.*\n`).ReplaceAllString(text, "")
	if without == text {
		b.t.Fatalf("%s is not in\n%s", host, text)
	}
	if err := os.WriteFile(inventory, []byte(without), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
