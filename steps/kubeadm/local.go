package kubeadm

import (
	"context"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

// local is what kubeadm left on a host.
type local struct {
	kubeadm  skew.Version      // zero: there is none, or it does not tell
	tags     map[string]string // component: tag of the image in its manifest
	missing  map[string]string // component without a manifest: the newest one that kubeadm put aside, if any
	etcdWant string            // the tag that this kubeadm gives etcd for the target
	mark     mark
	planned  string // "v1.28.15 RUN" of the last `kubeadm upgrade plan` that succeeded
}

// A mark says how far a `kubeadm upgrade` of ours came on this host. The job writes it: /var/lib/upgrader/kubeadm-upgrade.
type mark struct {
	verb     string // apply or node
	version  skew.Version
	finished bool
}

// look reads all of it in one round trip.
func look(ctx context.Context, host remote.Host, want skew.Version) (local, error) {
	result, err := host.Query(ctx, remote.Script{Text: lookScript, Env: map[string]string{"VERSION": want.String()}})
	if err != nil {
		return local{}, fmt.Errorf("looking at kubeadm's files on %s: %w", host.Name(), err)
	}
	return parse(result.Stdout), nil
}

func parse(stdout string) local {
	l := local{tags: map[string]string{}, missing: map[string]string{}}
	for line := range strings.Lines(stdout) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		f = append(f, "", "", "", "")
		switch f[0] {
		case "kubeadm":
			l.kubeadm, _ = skew.Parse(f[1])
		case "manifest":
			l.tags[f[1]] = census.Tag(f[2:], f[1])
		case "missing":
			l.missing[f[1]] = f[2]
		case "etcd":
			l.etcdWant = f[1]
		case "mark":
			v, _ := skew.Parse(f[2])
			l.mark = mark{verb: f[1], version: v, finished: f[3] == "done"}
		case "plan":
			l.planned = f[1] + " " + f[2]
		}
	}
	return l
}

// worker says that the host runs no part of the control plane. kubeadm itself goes by the API server's manifest alone
// (cmd/upgrade/node.go) and would take a control plane that lost it for a worker.
func (l local) worker() bool { return len(l.tags) == 0 }

// whole refuses a control plane that lacks a manifest: kubeadm was cut between putting the old one aside and the new one
// in place, and cannot go on by itself from there.
func (l local) whole(host string, stacked bool) error {
	components := census.ControlPlane()
	if stacked {
		components = append(components, census.Etcd)
	}
	for _, c := range components {
		saved, gone := l.missing[c]
		if !gone {
			continue
		}
		file := "/etc/kubernetes/manifests/" + c + ".yaml"
		remedy := "put it back, then resume"
		if saved != "" {
			remedy = fmt.Sprintf("put it back with `cp %s %s` on %s, then resume", saved, file, host)
		}
		return engine.Refuse(fmt.Sprintf("%s of %s is missing, as after a kubeadm that was cut short", file, host), remedy)
	}
	return nil
}

// reached says whether the manifests are at the target.
func (l local) reached(want skew.Version) bool {
	for _, c := range census.ControlPlane() {
		if l.tags[c] != "v"+want.String() {
			return false
		}
	}
	return true
}

// begun says whether any manifest is at the target.
func (l local) begun(want skew.Version) bool {
	for _, c := range census.ControlPlane() {
		if l.tags[c] == "v"+want.String() {
			return true
		}
	}
	return false
}

// etcdReached says whether etcd's manifest is where kubeadm would bring it: at the tag that the operator pinned, or at
// its own choice, or newer, which kubeadm leaves alone (phases/upgrade/staticpods.go). Where etcd runs elsewhere, or
// kubeadm does not tell its choice, there is nothing to reach.
func (l local) etcdReached(pinned string) bool {
	have, want := l.tags[census.Etcd], l.etcdWant
	if pinned != "" {
		want = pinned
	}
	return have == "" || want == "" || have == want || newer(have, want)
}

// newer compares tags of etcd, such as 3.5.15-0: the version, then the number of the build.
func newer(have, want string) bool {
	a, buildA, _ := strings.Cut(have, "-")
	b, buildB, _ := strings.Cut(want, "-")
	x, errX := skew.Parse(a)
	y, errY := skew.Parse(b)
	if errX != nil || errY != nil {
		return false
	}
	if c := x.Compare(y); c != 0 {
		return c > 0
	}
	// A tag without a number may be any build of that version.
	return buildA == "" && buildB != "" || len(buildA) > len(buildB) || (len(buildA) == len(buildB) && buildA > buildB)
}

// words describes the manifests for the record.
func (l local) words() string {
	if l.worker() {
		return "a worker, kubeadm " + l.kubeadm.String()
	}
	return fmt.Sprintf("manifests of the API server %s, controller manager %s, scheduler %s, etcd %s; kubeadm %s",
		orNone(l.tags[census.APIServer]), orNone(l.tags[census.ControllerManager]), orNone(l.tags[census.Scheduler]),
		orNone(l.tags[census.Etcd]), l.kubeadm)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
