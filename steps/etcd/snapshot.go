package etcd

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/remote"
)

const snapshotDoc = `Saves a snapshot of etcd on the host and proves that it is whole.
The goal is a file DIR/etcd-RUN.STEP.REVISION.db with its sha256 beside it, both readable by root alone; a resume finds
it again and computes its hash anew. Before saving there must be room for twice the database. With verify, the hash that
etcd appends to a snapshot is compared with its content, and a snapshot without a hash, or with another, fails the step;
etcdutl (or an etcdctl before 3.6) reads its revision. The newest snapshots are kept, older ones that carry our sha256 are removed.
A host without etcdctl borrows the one in its etcd container. A snapshot holds every Secret of the cluster: copy it to a
safe place, together with /etc/kubernetes/pki.`

// Snapshot is etcd.snapshot.
type Snapshot struct {
	hosts remote.Hosts

	Dir    string `yaml:"dir" default:"/var/lib/upgrader/backups" doc:"directory on the host; made if it is missing, mode 0700"`
	Keep   int    `yaml:"keep" default:"7" doc:"how many snapshots stay in the directory, the new one among them"`
	Verify bool   `yaml:"verify" default:"true" doc:"compare the hash that etcd appends with the content"`
}

// Fact names the path, the "revision" or the "sha256" of the last snapshot that a run saved on a host; the empty detail
// is the promise that there will be one.
func Fact(host, detail string) string {
	if detail == "" {
		return "snapshot@" + host
	}
	return "snapshot." + detail + "@" + host
}

var (
	plainPath = regexp.MustCompile(`^/[A-Za-z0-9._/-]*[A-Za-z0-9_-]$`)
	notPlain  = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// DefaultTimeout is for a database of some gigabytes on a slow disk, read five times over.
func (*Snapshot) DefaultTimeout() time.Duration { return 15 * time.Minute }

// Validate checks the directory and the number kept.
func (n *Snapshot) Validate() error {
	if !plainPath.MatchString(n.Dir) || path.Clean(n.Dir) != n.Dir {
		return fmt.Errorf("dir: %q must be an absolute path of letters, digits, dots, dashes and underscores, such as /var/lib/upgrader/backups", n.Dir)
	}
	if n.Keep < 1 {
		return fmt.Errorf("keep: %d must be at least 1, for the snapshot that the step makes", n.Keep)
	}
	return nil
}

// Observe looks for a snapshot of this step with the right hash.
func (n *Snapshot) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host, err := n.hosts.Host(s.Target.Name)
	if err != nil {
		return nil, err
	}
	name := "etcd-" + plain(s.Run) + "." + plain(s.Step)
	seen, err := n.look(ctx, host, name)
	if err != nil {
		return nil, err
	}
	if !seen.reaches {
		return nil, notAControlPlane(host.Name())
	}
	if seen.good != nil || s.Promised(Fact(host.Name(), "")) == name {
		return nil, nil
	}
	return []engine.Change{{
		Say:     "save an etcd snapshot to " + n.Dir,
		Then:    engine.Facts{Fact(host.Name(), ""): name},
		Repeat:  engine.Guarded,
		Expects: seen.words(),
		Do:      func(ctx context.Context, t engine.Ticket) error { return n.save(ctx, t, host, name) },
	}}, nil
}

// save runs the job and learns what it made.
func (n *Snapshot) save(ctx context.Context, t engine.Ticket, host remote.Host, name string) error {
	err := host.Do(ctx, t, remote.Job{
		Name: "etcdctl snapshot save",
		Safe: true, // half a snapshot has no name yet and is removed by the next attempt
		Script: remote.Script{Text: inquiry.Patiently(clientScript + saveScript), Env: map[string]string{
			"DIR": n.Dir, "NAME": name, "KEEP": strconv.Itoa(n.Keep), "VERIFY": strconv.FormatBool(n.Verify),
		}},
	})
	if err != nil {
		return err
	}
	// The snapshot is there. If it cannot be looked at just now, the next observation says so; only the facts are less.
	if seen, err := n.look(ctx, host, name); err == nil && seen.good != nil {
		t.Learn(engine.Facts{
			Fact(host.Name(), "path"):     seen.good.path,
			Fact(host.Name(), "revision"): seen.good.revision,
			Fact(host.Name(), "sha256"):   seen.good.sum,
		})
	}
	return nil
}

// A sight is what there is of this step's snapshots.
type sight struct {
	reaches bool // the host can reach etcd
	good    *saved
	bad     string // path of one whose hash is not the recorded one
}

type saved struct{ path, revision, sum string }

func (n *Snapshot) look(ctx context.Context, host remote.Host, name string) (sight, error) {
	result, err := host.Query(ctx, remote.Script{Text: lookScript, Env: map[string]string{"DIR": n.Dir, "NAME": name}})
	if err != nil {
		return sight{}, fmt.Errorf("looking for snapshots in %s of %s: %w", n.Dir, host.Name(), err)
	}
	var seen sight
	for line := range strings.Lines(result.Stdout) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "reaches":
			seen.reaches = true
		case len(f) == 4 && f[0] == "snapshot" && f[2] == f[3]:
			revision := strings.TrimSuffix(strings.TrimPrefix(path.Base(f[1]), name+"."), ".db")
			seen.good = &saved{path: f[1], revision: revision, sum: f[2]}
		case len(f) == 4 && f[0] == "snapshot":
			seen.bad = f[1]
		}
	}
	return seen, nil
}

func (v sight) words() string {
	if v.bad != "" {
		return v.bad + " is not what was saved"
	}
	return "no snapshot of this step"
}

// plain makes a run or a step part of a file name.
func plain(s string) string { return notPlain.ReplaceAllString(s, "-") }
