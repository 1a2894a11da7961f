//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// A trouble is planted in a lab, has to be found by preflight, and is cured. Its scripts run on the host; those of
// everyControlPlane run on each of them.
type trouble struct {
	name  string
	host  string   // cp1 if empty
	plant string   // empty: the plan, or how preflight is called, is the trouble
	shows string   // succeeds once the trouble can be seen
	cure  string   // undoes plant
	want  []wanted // what has to be found
	along []string // checks that may find something because of it as well
	ha    bool     // it takes three control planes and two workers
}

// everyControlPlane stands for the hosts of the control plane.
const everyControlPlane = "control-plane"

// wanted is a finding that has to be there. Of its words the parts given are looked for.
type wanted struct {
	severity, check, where string
	what, evidence, remedy string
}

// Places that a test does not know before: a host that the scheduler chose, the address of the API.
const (
	anyHost = "any host"
	theAPI  = "the API"
)

func (w wanted) String() string { return w.severity + " " + w.check + " " + w.where }

// is tells whether a finding is the one wanted.
func (w wanted) is(f found, hosts []string) bool {
	place := f.Where == w.where || w.where == anyHost && slices.Contains(hosts, f.Where) || w.where == theAPI && strings.HasSuffix(f.Where, ":6443")
	return place && f.Check == w.check && f.Severity == w.severity && f.Waived == nil &&
		strings.Contains(f.What, w.what) && strings.Contains(f.Evidence, w.evidence) && strings.Contains(f.Remedy, w.remedy)
}

// at repeats a wanted finding for other places.
func (w wanted) at(places ...string) []wanted {
	var all []wanted
	for _, p := range places {
		one := w
		one.where = p
		all = append(all, one)
	}
	return all
}

// A batch is troubles that do not disturb each other, and that preflight finds in one go.
type batch struct {
	name      string
	plan      variant
	vars      []string                      // of --var
	inventory func(l *lab, s string) string // what to change in the inventory
	troubles  []trouble
	only      string // the worst that it may find, if that is not a blocker
	third     bool   // it needs a third version in the lab's cache, which only the full tests are sure to have
}

// fits are the troubles that a lab has room for.
func (r batch) fits(l *lab) []trouble {
	return slices.DeleteFunc(slices.Clone(r.troubles), func(x trouble) bool { return x.ha && len(l.hosts) < 5 })
}

// meet plants the troubles of a batch, looks once, requires every one to be found and nothing else, and cures them.
func (l *lab) meet(r batch, clean report) {
	l.t.Helper()
	troubles := r.fits(l)
	defer l.recover()
	for _, x := range troubles {
		defer l.on(x, x.cure)
		l.on(x, x.plant)
	}
	for _, x := range troubles {
		l.until(x)
	}
	l.judge(r, troubles, l.look(r), clean)
}

// judge holds what preflight found against what was planted. What it finds in any case does not count.
func (l *lab) judge(r batch, troubles []trouble, got, clean report) {
	l.t.Helper()
	rest := got.without(clean)
	var along []string
	for _, x := range troubles {
		along = append(along, x.along...)
		l.t.Run(x.name, func(t *testing.T) {
			for _, w := range x.want {
				i := slices.IndexFunc(rest, func(f found) bool { return w.is(f, l.hosts) })
				if i < 0 {
					t.Errorf("not found: %s: %q, %q, %q; of this check there is\n%s", w, w.what, w.evidence, w.remedy, of(got.Findings, w.check))
					continue
				}
				rest = slices.Delete(rest, i, i+1)
			}
		})
	}
	for _, f := range rest {
		if !slices.Contains(along, f.Check) {
			l.t.Errorf("nothing planted explains\n%s", f)
		}
	}
	got.ends(l.t, r.only)
}

// equip gives every host the tools that the scripts use.
func (l *lab) equip() {
	l.t.Helper()
	text, err := objects.ReadFile("testdata/preflight/tools.sh")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, host := range l.hosts {
		l.sh(host, `printf '%s' "$1" >/root/tools.sh`, string(text))
	}
}

const withTools = ". /root/tools.sh\n"

// on runs a script on the hosts of a trouble.
func (l *lab) on(x trouble, script string) {
	l.t.Helper()
	if script == "" {
		return
	}
	for _, host := range x.hosts(l) {
		l.sh(host, withTools+script)
	}
}

func (x trouble) hosts(l *lab) []string {
	switch x.host {
	case "":
		return []string{"cp1"}
	case everyControlPlane:
		return l.controlPlanes()
	}
	return []string{x.host}
}

// until waits for the trouble to show.
func (l *lab) until(x trouble) {
	l.t.Helper()
	if x.shows == "" {
		return
	}
	for _, host := range x.hosts(l) {
		l.await(host, x.shows)
	}
}

// await runs a script on a host again and again until it succeeds; after ten minutes it says how it failed. A lab beside
// others on two processors has controllers that take minutes for what takes them a second.
func (l *lab) await(host, script string) {
	l.t.Helper()
	l.sh(host, withTools+"shows() {\n"+script+"\n}\n"+`
end=$(($(date +%s) + 600))
while [ "$(date +%s)" -lt $end ]; do
  (set -e; shows) >/dev/null 2>&1 &
  if wait $!; then exit 0; fi
  sleep 0.5
done
set -x
shows`)
}

// recover waits until every host runs what its manifests say, every node is Ready, every pod of the cluster itself runs,
// and somebody leads.
func (l *lab) recover() {
	l.t.Helper()
	for _, host := range l.controlPlanes() {
		l.await(host, runsAll)
	}
	l.await("cp1", wholeCluster)
}

// runsAll succeeds where a host of the control plane runs what its manifests say.
const runsAll = `for c in etcd kube-apiserver kube-controller-manager kube-scheduler; do runs $c; done`

// wholeCluster succeeds where the cluster itself is well.
const wholeCluster = `
k get nodes -o json | jq -e '[.items[].status.conditions[] | select(.type == "Ready" and .status != "True")] == []'
k -n kube-system get pods -o json | jq -e '[.items[] | select(.status.phase != "Running" or .metadata.deletionTimestamp or any(.status.containerStatuses[]; .ready | not))] == []'
k -n kube-system get lease kube-scheduler kube-controller-manager -o json | jq -e '[.items[].spec.renewTime | sub("\\..*"; "Z") | now - fromdate | select(. > 10)] == []'
k -n kube-system rollout status deployment/coredns --timeout=1s
[ "$(k -n kube-system get pods -l tier=control-plane -o name | wc -l)" = "$(($(k get nodes -l node-role.kubernetes.io/control-plane -o name | wc -l) * 4))" ]
`
