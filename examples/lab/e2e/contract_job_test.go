//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

// A jobContract is one rule about durable jobs, kept through package remote itself: its launch script, its unit, its lock.
type jobContract struct {
	name, proves string
	run          func(j *jobs) string // what is compared
}

// jobs are those of one contract on one side.
type jobs struct {
	t    *testing.T
	side side
	host remote.Host
	id   string
	out  bytes.Buffer
}

func (j *jobs) ticket(epoch int64) engine.Ticket {
	return engine.Ticket{ID: j.id, Epoch: epoch, Out: &j.out}
}

// do runs a job to its end, and words how it ended.
func (j *jobs) do(ctx context.Context, epoch int64, text string, safe bool) string {
	err := j.host.Do(ctx, j.ticket(epoch), remote.Job{Name: "contract", Safe: safe, Script: remote.Script{Text: text}})
	said := j.out.String()
	j.out.Reset()
	return fmt.Sprintf("%s\nout: %q\n", verdict(err), said)
}

// secret does a job with a secret, and tells how it ended and where on the host the secret is afterwards.
func (j *jobs) secret(text string) string {
	const secret = "correct-horse-battery"
	err := j.host.Do(j.t.Context(), j.ticket(1), remote.Job{Name: "contract", Script: remote.Script{Text: text, Secret: map[string]string{"PW": secret}}})
	said := j.out.String()
	j.out.Reset()
	left := j.side.sh(j.t, "w1", "grep -rl correct-[h]orse "+contractState+" || :").stdout
	told := strings.ReplaceAll(fmt.Sprintf("%s\nout: %q\nleft: %q\n", verdict(err), said, left), j.id, "ID")
	j.id += "-next" // a ticket of its own
	return told
}

// meanwhile runs a script on the host as soon as the job has printed "begun".
func (j *jobs) meanwhile(script string) {
	j.side.must(j.t, "w1", fmt.Sprintf("until grep -q begun %s/jobs/%s.out 2>/dev/null; do sleep 0.05; done\n%s", contractState, j.id, script))
}

func verdict(err error) string {
	doubt := &engine.InDoubtError{}
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, engine.ErrFenced):
		return "fenced: " + err.Error()
	case errors.As(err, &doubt):
		return "in doubt: " + err.Error()
	}
	return err.Error()
}

func jobContracts() []jobContract {
	return []jobContract{
		{"success", "A job that ends well, and is there to be attached to afterwards.", func(j *jobs) string {
			return j.do(j.t.Context(), 1, "echo one; echo two >&2; id -u; pwd; umask; echo $PATH", false) + j.do(j.t.Context(), 1, "echo not run again", false)
		}},
		{"failure", "A job's exit status and last lines come back.", func(j *jobs) string {
			return j.do(j.t.Context(), 1, "echo why >&2; exit 7", false)
		}},
		{"set-e", "A job ends at the first command that fails.", func(j *jobs) string {
			return j.do(j.t.Context(), 1, "false; echo not reached", false)
		}},
		{"syntax", "A job that is no shell is never started, and says why.", func(j *jobs) string {
			said := j.do(j.t.Context(), 1, "if true; then echo x", false)
			return regexp.MustCompile(`never will be: .*`).ReplaceAllString(said, "never will be: ...")
		}},
		{"killed", "A job whose processes are killed is in doubt.", func(j *jobs) string {
			go j.meanwhile("systemctl kill -s KILL upgrader-" + j.id)
			return j.do(j.t.Context(), 1, "echo begun; sleep 20", false)
		}},
		{"terminated", "SIGTERM ends a job like a command that failed.", func(j *jobs) string {
			go j.meanwhile("systemctl stop upgrader-" + j.id)
			return j.do(j.t.Context(), 1, "echo begun; sleep 20", false)
		}},
		{"sshd", "A job outlives sshd and the connection.", func(j *jobs) string {
			go j.meanwhile("systemctl restart ssh")
			return j.do(j.t.Context(), 1, "echo begun; sleep 1; echo done", false)
		}},
		{"stopped", "A job that may be stopped is stopped when its time is over.", func(j *jobs) string {
			ctx, cancel := context.WithTimeoutCause(j.t.Context(), 1500*time.Millisecond, errors.New("its time is over"))
			defer cancel()
			j.do(ctx, 1, "echo begun; sleep 30", true)
			return j.side.sh(j.t, "w1", "sleep 0.3; systemctl is-active upgrader-"+j.id+" || :").comparable(nil)
		}},
		{"lost-record", "A job whose record is removed is in doubt.", func(j *jobs) string {
			go j.meanwhile("rm -f " + contractState + "/jobs/" + j.id + ".*")
			said, _, _ := strings.Cut(j.do(j.t.Context(), 1, "echo begun; sleep 2", false), "\n") // what it printed is gone or not
			return said
		}},
		{"fenced", "An older epoch is refused, and nothing runs.", func(j *jobs) string {
			return j.do(j.t.Context(), 5, "echo five", false) + j.do(j.t.Context(), 4, "echo four", false)
		}},
		{"secret", "A job with secrets prints none of them, shows none in a process, and leaves none on its host, also when its processes are killed.", func(j *jobs) string {
			ended := j.secret(`echo "begun $PW"; exit 3`)
			go j.meanwhile("systemctl kill -s KILL upgrader-" + j.id)
			return ended + j.secret(`echo "begun $PW"; sleep 20`)
		}},
		{"settled", "A ticket that is settled before its job has started never starts.", func(j *jobs) string {
			s, err := j.side.fleet.Settle(j.t.Context(), engine.Target{Name: "w1"}, j.ticket(9))
			return fmt.Sprintf("%v %v\n", s.Fate, verdict(err)) + j.do(j.t.Context(), 9, "echo never", false)
		}},
	}
}

// allJobContracts runs durable jobs on the sandbox and on a real host, and compares how they end.
func allJobContracts(t *testing.T, lab, pretend side) {
	t.Cleanup(func() {
		lab.must(t, "w1", "rm -rf "+contractState+"; systemctl reset-failed 'upgrader-contract-*' 2>/dev/null || :")
	})
	for _, c := range jobContracts() {
		t.Run(c.name, func(t *testing.T) {
			said := make([]string, 2)
			var both sync.WaitGroup
			for i, s := range []side{lab, pretend} {
				both.Go(func() { said[i] = s.jobs(t, c) })
			}
			both.Wait()
			if said[0] != said[1] {
				t.Errorf("%s\nlab:\n%s\nsandbox:\n%s", c.proves, said[0], said[1])
			}
		})
	}
}

func (s side) jobs(t *testing.T, c jobContract) string {
	t.Helper()
	s.must(t, "w1", "rm -f "+contractState+"/epoch")
	h, err := s.fleet.Host("w1")
	if err != nil {
		t.Error(err)
		return ""
	}
	j := &jobs{t: t, side: s, host: h, id: fmt.Sprintf("contract-%s-%d", c.name, time.Now().UnixNano())}
	return strings.ReplaceAll(c.run(j), j.id, "ID")
}
