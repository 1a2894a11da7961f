package survey

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// onThisMachine runs a script as a host would, with these commands before its own.
func onThisMachine(t *testing.T, text string, commands map[string]string) (stdout, stderr string) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range commands {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/bin/sh", "-c", "set -eu\n"+text)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "LC_ALL=C", "VERSION=", "LINE=", "REVISIONS=", "IMAGES="}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out.String(), errs.String()
}

// hurried is a timeout that waits a fifth of a second for the two that hang, however long others take.
const hurried = `shift 3; case $1 in df | systemctl) exec "$(PATH=/usr/bin:/bin command -v timeout)" -k 0.2 0.2 "$@" ;; esac; exec "$@"`

// A program that hangs is named, it is not asked again, and what follows is told all the same.
func TestWhatHangsIsNamedAndTheRestIsTold(t *testing.T) {
	stdout, stderr := onThisMachine(t, Patiently(hostScript), map[string]string{
		"timeout": hurried, "df": `trap '' TERM; while :; do sleep 1; done`, "systemctl": `sleep 1000`,
	})
	want := []string{
		"df -Pk / has not answered for 8s",
		"systemctl show -p LoadState -p ActiveState -p SubState -p NRestarts -p UnitFileState kubelet.service has not answered for 8s",
		"systemctl show -p MainPID --value kubelet.service has not answered for 8s",
	}
	if got := Hung(stderr); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	h := Read("w1", stdout, time.Now(), time.Now())
	if h.Kernel == "" || len(h.Disks) > 0 || len(h.Units) > 0 {
		t.Errorf("%+v", h)
	}
}

// A host without timeout(1) is asked too, and one that is well names nothing.
func TestWithoutATimeout(t *testing.T) {
	stdout, stderr := onThisMachine(t, "PATH=/nowhere\n"+Patiently("within 8 echo here\nwithin 8 false || echo $?\n"), nil)
	if stdout != "here\n1\n" || stderr != "" {
		t.Errorf("%q, %q", stdout, stderr)
	}
}
