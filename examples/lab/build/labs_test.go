//go:build linux

package build

import (
	"os"
	"strings"
	"testing"
)

// The root file system is not replaced under running hosts; what is refused stays as it was and is not built anew later.
func TestNoLabs(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	todo := []part{{name: rootfsName}}
	if err := noLabs(c, todo); err != nil {
		t.Errorf("no lab is there, and yet: %v", err)
	}
	if err := os.MkdirAll(c.Lab("other"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := noLabs(c, todo); err == nil || !strings.Contains(err.Error(), "other runs on") {
		t.Errorf("got %v", err)
	}
	if err := noLabs(c, []part{{name: "crictl"}}); err != nil {
		t.Errorf("no lab runs on crictl, and yet: %v", err)
	}
	if err := os.Rename(c.Lab("other"), c.Lab(".inotify")); err != nil {
		t.Fatal(err)
	}
	if err := noLabs(c, todo); err != nil {
		t.Errorf("what is hidden is no lab, and yet: %v", err)
	}
}
