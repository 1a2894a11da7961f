package remote

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whichever file of a job's record is read at the moment when somebody removes the record: it is gone, and the follower
// says so. No other verdict is made up, and no tool's complaint takes its place.
func TestRecordRemovedWhileItIsRead(t *testing.T) {
	for _, c := range []struct {
		tool, file string
		files      map[string]string
	}{
		{"stat", ".out", map[string]string{".out": "said\n", ".claim": "running\n"}}, // before it has ended
		{"head", ".out", map[string]string{".out": "said\n", ".claim": "running\n"}},
		{"grep", ".claim", map[string]string{".out": "said\n", ".claim": "running\nboot another\n"}},
	} {
		t.Run(c.tool+" "+c.file, func(t *testing.T) {
			real, err := exec.LookPath(c.tool)
			if err != nil {
				t.Fatal(err)
			}
			sh, job := testShell(filepath.Join(t.TempDir(), "state")), ticket("removed", 1, nil)
			sh.booted = filepath.Join(t.TempDir(), "no-systemd")
			record := filepath.Join(sh.dir, "jobs", job.ID)
			put(t, record, c.files)
			sh.path = tools(t, map[string]string{
				c.tool: fmt.Sprintf("case \"$*\" in *%s*) rm -f %s.* ;; esac\nexec %s \"$@\"\n", record+c.file, record, real),
			}) + ":" + sh.path

			cmd := exec.CommandContext(t.Context(), "sh")
			cmd.Stdin = strings.NewReader(sh.jobProgram("m", attach, job, placement{}, 0, false) + closing("m"))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "\nm end gone\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Between making a claim and saying whose it is there is a moment. Who looks just then waits for the word.
func TestAClaimWithoutAWordIsGivenAMoment(t *testing.T) {
	sh, job := testShell(filepath.Join(t.TempDir(), "state")), ticket("moment", 1, nil)
	sh.booted = filepath.Join(t.TempDir(), "no-systemd")
	record := filepath.Join(sh.dir, "jobs", job.ID)
	put(t, record, map[string]string{".out": "", ".claim": ""})
	sh.path = tools(t, map[string]string{"sleep": fmt.Sprintf("echo somebody asked >%s.abandoned", record)}) + ":" + sh.path
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = strings.NewReader(sh.jobProgram("m", attach, job, placement{}, 0, false) + closing("m"))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "\nm end abandoned somebody asked\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// put writes the record of a job that has claimed its ticket and whose processes are no more.
func put(t *testing.T, record string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(record), 0o700); err != nil {
		t.Fatal(err)
	}
	for ending, text := range files {
		write(t, record+ending, text)
	}
}
