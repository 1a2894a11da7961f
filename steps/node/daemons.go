package node

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// Daemons is the part that knows the pods of DaemonSets, which a drain leaves on their node.
type Daemons interface {
	Daemons(ctx context.Context, node string) ([]kube.Daemon, error)
}

// before is how the pods of DaemonSets on a node were before its kubelet was replaced. The journal has it where this run
// cordoned the node. Where it did not, what is older than the kubelet's process is from before.
type before struct {
	known    bool
	ill      map[string]bool // DaemonSets whose pod was ill there, as namespace/name
	restarts map[string]int  // of containers, as namespace/pod/container
	started  time.Time       // of the kubelet, by its host's clock, which it writes by
	replaced time.Time       // the same by our clock: it is nearer to the API server's, which writes when pods were made
}

// note tells the journal how the pods of DaemonSets on a node are, once for the whole run: what fell ill after its first
// cordon is not ill from before.
func note(ctx context.Context, c Daemons, s engine.Scene, node string, learn func(engine.Facts)) error {
	if _, noted := s.Fact(facts.Daemons(node)); noted {
		return nil
	}
	all, err := c.Daemons(ctx, node)
	if err != nil {
		return err
	}
	learn(engine.Facts{facts.Daemons(node): noted(all)})
	return nil
}

// owed is the note of a node that this run began to cordon and did not hear how that ended: what comes after its drain has not been done.
func owed(ctx context.Context, c Daemons, s engine.Scene, node string) (engine.Facts, error) {
	owed := engine.Facts{}
	if fact(s, facts.CordonedAt(node)) == "" {
		return owed, nil
	}
	err := note(ctx, c, s, node, func(f engine.Facts) { maps.Copy(owed, f) })
	return owed, err
}

// noted writes down what is not as it is in a new pod that is well: "kube-system/cni!" is ill, "kube-system/cni-x7/main=3"
// was restarted. Names in Kubernetes hold none of these signs.
func noted(all []kube.Daemon) string {
	var words []string
	for _, d := range all {
		if d.Ails != nil {
			words = append(words, setOf(d)+"!")
		}
		for _, c := range d.Containers {
			if c.Restarts > 0 {
				words = append(words, fmt.Sprintf("%s/%s=%d", d, c.Name, c.Restarts))
			}
		}
	}
	return strings.Join(words, " ")
}

func setOf(d kube.Daemon) string { return d.Namespace + "/" + d.Owner }

// recall is what was noted. Where nobody knows how long the kubelet's process has been running, everything is from before.
func recall(s engine.Scene, p pulse) before {
	b := before{ill: map[string]bool{}, restarts: map[string]int{}, started: p.now.Add(-p.ran()), replaced: s.Now.Add(-p.ran())}
	text, known := s.Fact(facts.Daemons(s.Target.Name))
	b.known = known
	for _, word := range strings.Fields(text) {
		if set, ill := strings.CutSuffix(word, "!"); ill {
			b.ill[set] = true
		} else if name, number, ok := strings.Cut(word, "="); ok {
			b.restarts[name], _ = strconv.Atoi(number)
		}
	}
	return b
}

// excuses says whether a pod was ill before.
func (b before) excuses(d kube.Daemon) bool {
	if b.known {
		return b.ill[setOf(d)]
	}
	return !d.Ready && !d.Changed.After(b.started)
}

// since is how often a container was restarted since. Without a note that is known of young pods only.
func (b before) since(d kube.Daemon, c kube.Container) int {
	if !b.known && !d.Made.After(b.replaced) {
		return 0
	}
	return c.Restarts - b.restarts[d.String()+"/"+c.Name]
}

// daemons looks at the pods of DaemonSets on the node that were well before: its network, its storage. A node is Ready
// without them. What crashes again and again fails the step, what may only need time is waited for.
func (r *ready) daemons(ctx context.Context, s engine.Scene, p pulse) error {
	all, err := r.cluster.Daemons(ctx, s.Target.Name)
	if err != nil {
		return err
	}
	was := recall(s, p)
	var crashing, waits []string
	for _, d := range all {
		if was.excuses(d) {
			continue
		}
		if c, times := was.worst(d); times >= kube.Crashes && !proved(c, p) {
			if c.Runs.IsZero() {
				crashing = append(crashing, crashes(d, c, times))
			} else {
				waits = append(waits, crashes(d, c, times))
			}
		} else if why := r.unsettled(d, p); why != "" {
			waits = append(waits, why)
		}
	}
	switch {
	case len(crashing) > 0:
		return fmt.Errorf("the kubelet of %s is in order, but not what has to run there: %s", s.Target.Name, finding.Few(crashing))
	case len(waits) > 0:
		return engine.NotYet("%s", finding.Few(waits))
	}
	return nil
}

// worst is the container of a pod that was restarted most often since, and how often. One that ran before the others and
// has done its work is not restarted any more.
func (b before) worst(d kube.Daemon) (worst kube.Container, times int) {
	for _, c := range d.Containers {
		if n := b.since(d, c); n > times && !c.Done {
			worst, times = c, n
		}
	}
	return worst, times
}

// mended is how long a container has to run after crashes at least, before it is believed that somebody has mended it.
const mended = time.Minute

// proved says whether a container has run for so much longer than before it crashed that it will not crash the same way.
func proved(c kube.Container, p pulse) bool {
	return !c.Runs.IsZero() && p.now.Sub(c.Runs) >= max(mended, 2*c.Lasted)
}

// crashes says what an operator needs to go on: the pod, its container, why, and where to look.
func crashes(d kube.Daemon, c kube.Container, times int) string {
	words := fmt.Sprintf("pod %s of DaemonSet %s: container %s was restarted %d times", d, d.Owner, c.Name, times)
	switch {
	case !c.Runs.IsZero():
		words += ", and whether it stays now is not proved yet"
	case d.Ails != nil && d.Ails.Container == c.Name:
		words += ", " + d.Ails.Why
	}
	if c.Last != "" {
		words += " (it last ended with " + c.Last + ")"
	}
	return words + "; see " + logs(d, c.Name)
}

func logs(d kube.Daemon, container string) string {
	return fmt.Sprintf("`kubectl -n %s logs %s -c %s --previous`", d.Namespace, d.Name, container)
}

// unsettled says why a pod has to be waited for, or "".
func (r *ready) unsettled(d kube.Daemon, p pulse) string {
	switch c := youngest(d); {
	case !d.Ready && d.Ails != nil && d.Ails.Container != "":
		return fmt.Sprintf("pod %s of DaemonSet %s: container %s: %s: %s; see %s", d, d.Owner, d.Ails.Container, d.Ails.Why, d.Ails.Says, whereToLook(d))
	case !d.Ready:
		return fmt.Sprintf("pod %s of DaemonSet %s is not Ready yet", d, d.Owner)
	case !c.Runs.IsZero() && p.now.Sub(c.Runs) < r.StableFor:
		return fmt.Sprintf("container %s of pod %s runs, but not for %s yet", c.Name, d, r.StableFor)
	}
	return ""
}

// whereToLook is the log of a container that has run before, or what became of one that never did.
func whereToLook(d kube.Daemon) string {
	for _, c := range d.Containers {
		if c.Name == d.Ails.Container && c.Last != "" {
			return logs(d, c.Name)
		}
	}
	return fmt.Sprintf("`kubectl -n %s describe pod %s`", d.Namespace, d.Name)
}

// youngest is the container of a pod that began to run last.
func youngest(d kube.Daemon) (last kube.Container) {
	for _, c := range d.Containers {
		if c.Runs.After(last.Runs) {
			last = c
		}
	}
	return last
}
