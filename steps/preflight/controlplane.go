package preflight

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// quorum: every member of etcd is well, has a vote and no alarm.
func quorum(v *View) []finding.Finding {
	if v.Etcd == nil {
		return nil
	}
	err := v.Etcd.Trouble()
	if err == nil {
		return nil
	}
	f := finding.Finding{Severity: finding.Blocker, Where: "etcd", What: err.Error(), Evidence: "asked from " + v.Etcd.From,
		Remedy: "bring the member back before anything else: `upgrader doctor`, then see its log"}
	var refused *engine.RefusedError
	var waits *engine.NotYetError
	switch {
	case errors.As(err, &refused):
		f.What, f.Remedy = refused.Why, refused.Remedy
	case errors.As(err, &waits):
		f.What = waits.Why
	}
	if v.Etcd.Mute() {
		f.Remedy = etcd.ToBeAsked
	}
	return []finding.Finding{f}
}

// etcd's own limit on its database where none is set (server/storage/quota.go, DefaultQuotaBytes), and the shares of it
// from which on it is spoken of.
const (
	etcdQuota  = 2 << 30
	quotaTight = 0.80
	quotaOver  = 0.95
)

// quota: etcd's database does not reach its limit during the upgrade, when everything is written anew.
func quota(v *View) (found []finding.Finding) {
	if v.Etcd == nil {
		return nil
	}
	for _, m := range v.Etcd.Members() {
		limit := cmp.Or(m.Quota, v.flagQuota(m.Name), etcdQuota)
		share := float64(m.Size) / float64(limit)
		if share < quotaTight {
			continue
		}
		f := finding.Finding{Severity: finding.Warning, Where: "etcd member " + m.Name,
			What:     fmt.Sprintf("its database fills %.0f%% of its quota, and at 100%% etcd takes no more writes", 100*share),
			Evidence: fmt.Sprintf("%s of %s, %s of it in use", size(m.Size), size(limit), size(m.InUse)),
			Remedy:   "defragment the members one at a time, the leader last (`etcdctl defrag`), and see what fills it"}
		if share >= quotaOver {
			f.Severity = finding.Blocker
		}
		found = append(found, f)
	}
	return found
}

// flagQuota is --quota-backend-bytes of a host's member.
func (v *View) flagQuota(member string) int64 {
	h := v.host(member)
	if h == nil {
		return 0
	}
	for _, f := range flagsIn(h.Files[manifests+"etcd.yaml"]) {
		if f.name == "quota-backend-bytes" {
			n, _ := strconv.ParseInt(f.value, 10, 64) // 0 means the default to etcd too
			return n
		}
	}
	return 0
}

// freshSnapshot is how old a snapshot may be that a plan relies on.
const freshSnapshot = 24 * time.Hour

// snapshots: a plan that changes the control plane takes a snapshot of etcd, or there is a fresh one.
func snapshots(v *View) []finding.Finding {
	changes := slices.ContainsFunc(v.Goal.Hosts, func(h HostGoal) bool { return h.ControlPlane && h.Kubeadm })
	if v.Goal.Saves || !changes {
		return nil
	}
	var newest survey.Snapshot
	for _, h := range v.answered() {
		for _, s := range h.Snapshots {
			if s.Taken.After(newest.Taken) {
				newest = survey.Snapshot{Path: h.Name + ":" + s.Path, Taken: s.Taken}
			}
		}
	}
	if v.Now.Sub(newest.Taken) < freshSnapshot {
		return nil
	}
	f := finding.Finding{Severity: finding.Warning, Where: "etcd", What: "there is no snapshot of etcd, and the plan takes none",
		Remedy: "add `uses: etcd.snapshot` with `hosts: control-plane[0]` to the plan, before the control plane"}
	if !newest.Taken.IsZero() {
		f.What = "the newest snapshot of etcd is " + days(v.Now.Sub(newest.Taken)) + " old, and the plan takes none"
		f.Evidence = newest.Path + " of " + newest.Taken.UTC().Format(time.DateTime)
	}
	return []finding.Finding{f}
}

// leaders: somebody leads the controller manager and the scheduler.
func leaders(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, component := range []string{census.ControllerManager, census.Scheduler} {
		l, there := v.Cluster.Leaders[component]
		ago := v.Cluster.At.Sub(l.Renewed)
		if there && l.Name != "" && ago < l.Lasts+renewalSlack {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: engine.Cluster,
			What:     "nobody leads " + component + ": pods that are evicted would not be made anew",
			Evidence: evidence(l, there, ago), Remedy: "see the logs of its static pods: `upgrader doctor`"})
	}
	return found
}

// renewalSlack is what clocks may differ by, and an API server take.
const renewalSlack = 15 * time.Second

func evidence(l kube.Leader, there bool, ago time.Duration) string {
	switch {
	case !there:
		return "there is no such lease in kube-system"
	case l.Name == "":
		return "its lease is held by nobody"
	}
	return fmt.Sprintf("%s last renewed its lease %s ago", l.Name, ago.Round(time.Second))
}

// apiServers: each API server is ready when it is asked on its own host.
func apiServers(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if h.API != nil && !h.API.Ready {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "its API server is not ready",
				Evidence: "readyz of " + h.API.Address + ": " + h.API.Says, Remedy: "run `upgrader doctor " + h.Name + "`"})
		}
	}
	return found
}

// balancer: new connections to the address of the kubeconfig succeed, and come to every API server.
func balancer(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	b := v.Cluster.Balancer
	if len(b.Faults) > 0 {
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: v.Cluster.Server,
			What:     fmt.Sprintf("%d of %d new connections to the API failed", len(b.Faults), b.Tries),
			Evidence: b.Faults[0], Remedy: "take the API server that does not answer out of the load balancer, or bring it back"})
	}
	if len(b.Reached) < 2 { // one address for all of them, or a balancer that keeps each client with one server
		return found
	}
	for _, h := range v.answered() {
		if h.API == nil || !h.API.Ready || b.Reached[h.API.Address] > 0 {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Warning, Where: v.Cluster.Server,
			What:     "the load balancer never leads to the API server of " + h.Name,
			Evidence: fmt.Sprintf("%d new connections came to %s", b.Tries, strings.Join(slices.Sorted(maps.Keys(b.Reached)), ", ")),
			Remedy:   "put " + h.API.Address + " behind the load balancer: the others are upgraded one after the other"})
	}
	return found
}

// nodesReady: every node is Ready, and none is about to evict pods.
func nodesReady(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, n := range v.Cluster.Census.Nodes {
		if !n.Ready {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: n.Name, What: "the node is not Ready",
				Evidence: n.ReadyReason, Remedy: "run `upgrader doctor " + n.Name + "`"})
		}
		if n.Pressure != "" {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: n.Name, What: "its kubelet evicts pods for want of room: " + n.Pressure,
				Evidence: "conditions of the node", Remedy: "make room there"})
		}
	}
	return found
}

// staticPods: every control plane has its static pods, running and Ready.
func staticPods(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	c := v.Cluster.Census
	for _, n := range c.Nodes {
		if runs, known := v.runsControlPlane(n.Name); !runs && (known || !n.ControlPlane) {
			continue // one that has the label and runs none is told by its role
		}
		wanted := census.ControlPlane()
		if c.Config.Stacked {
			wanted = append(wanted, census.Etcd)
		}
		for _, component := range wanted {
			pod, there := c.Static[n.Name][component]
			if there && pod.Phase == "Running" && pod.Ready {
				continue
			}
			state := "there is none in the API"
			if there {
				state = fmt.Sprintf("%s is %s, Ready is %t", pod.Name, pod.Phase, pod.Ready)
			}
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: n.Name, What: "the static pod " + component + " does not run",
				Evidence: state, Remedy: "run `upgrader doctor " + n.Name + "`"})
		}
	}
	return found
}

// strayManifests: nothing lies in the directory of manifests that the kubelet runs beside what kubeadm put there. It
// reads every file that does not begin with a dot, a copy kept "for later" too.
func strayManifests(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		for _, file := range slices.Sorted(maps.Keys(h.Files)) {
			name, in := strings.CutPrefix(file, manifests)
			if !in || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".json") {
				continue
			}
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "the kubelet runs " + name + " as a static pod too: it reads every file in there",
				Evidence: file, Remedy: "move it out of " + strings.TrimSuffix(manifests, "/")})
		}
	}
	return found
}
