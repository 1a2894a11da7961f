package forecast

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/finding"
)

// holds says whether what a pod requests is left on the node (pkg/scheduler/framework/plugins/noderesources/fit.go). What
// a pod does not request cannot be missing.
func (s *spot) holds(b *body) bool {
	if s.pods < 1 || b.CPU > 0 && b.CPU > s.cpu || b.Memory > 0 && b.Memory > s.memory {
		return false
	}
	for name, amount := range b.Extended {
		if amount > s.extended[name] {
			return false
		}
	}
	return true
}

// short says what is missing on a node for a pod that it does not hold.
func (s *spot) short(b *body) string {
	switch {
	case s.pods < 1:
		return "takes no more pods"
	case b.CPU > 0 && b.CPU > s.cpu:
		return fmt.Sprintf("has %s of CPU left", cores(s.cpu))
	case b.Memory > 0 && b.Memory > s.memory:
		return fmt.Sprintf("has %s of memory left", bytes(s.memory))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Extended)) {
		if b.Extended[name] > s.extended[name] {
			return fmt.Sprintf("has %d of %s left", max(0, s.extended[name]), name)
		}
	}
	return ""
}

// capacity tells of the pods of a load that no node takes. Where only rules about neighbours keep a pod away and others
// of its kind stay, as one for each node do, nothing has to be done; unless its budget then keeps the rest of them here.
func (t *telling) capacity(l load, homeless []*body) {
	var fewer, none []*body
	for _, b := range t.news("drain.capacity", homeless) {
		if t.apart(b) && t.standing(b) && !t.stuck(b, l) {
			fewer = append(fewer, b)
		} else {
			none = append(none, b)
		}
	}
	if len(none) > 0 {
		t.tell("drain.capacity", finding.Blocker,
			fmt.Sprintf("%s on no other node while %s out of service", finding.Plural(len(none), "pod fits", "pods fit"), t.away()),
			t.reasons(none), "make room: fewer nodes at once (maxUnavailable), another node, or smaller requests; see `kubectl describe nodes`")
	}
	if len(fewer) > 0 {
		t.tell("drain.capacity", finding.Note,
			fmt.Sprintf("%s by rules about their neighbours while %s out of service; others like them run on", finding.Plural(len(fewer), "pod waits", "pods wait"), t.away()),
			t.reasons(fewer), "nothing has to be done; with one more node, or one replica fewer, none would wait")
	}
}

// apart says whether a node in service would take the pod but for rules about its neighbours.
func (t *telling) apart(b *body) bool {
	search := t.search(b)
	return slices.ContainsFunc(t.spots, func(s *spot) bool {
		return s.holds(b) && !slices.Contains(t.together, s.Node) && search.ports(s) == "" && b.Refused(s.Room) == ""
	})
}

// standing says whether other pods of the same owner stand somewhere.
func (t *telling) standing(b *body) bool {
	return b.owner != "" && slices.ContainsFunc(t.bodies, func(other *body) bool {
		return other != b && other.at != nil && other.owner == b.owner
	})
}

// stuck says whether a pod that finds no node uses up what its budget allows, so that others of the load may not go.
func (t *telling) stuck(b *body, l load) bool {
	covering := t.forecaster.budgets.of(b)
	if len(covering) != 1 {
		return false
	}
	under := 0
	for _, other := range l.evict {
		if covering[0].Covers(other.Pod) {
			under++
		}
	}
	return under > int(covering[0].Allowed)
}

// local tells of the pods of a load that go nowhere else, because their volumes do not.
func (t *telling) local(l load) {
	bound := slices.DeleteFunc(slices.Clone(l.evict), func(b *body) bool { return len(b.bound) == 0 })
	var words []string
	for _, b := range t.news("drain.local", bound) {
		words = append(words, fmt.Sprintf("%s: %s", b.name, strings.Join(b.bound, ", ")))
	}
	if len(words) > 0 {
		t.tell("drain.local", finding.Warning,
			fmt.Sprintf("%s until this node is back: no other node can reach their volumes", finding.Plural(len(words), "pod waits", "pods wait")),
			finding.Few(words), "see that the others can do without them for so long")
	}
}

// away names the nodes that are out of service, with the verb.
func (t *telling) away() string {
	if len(t.together) > 1 {
		return some(t.together) + " are"
	}
	return t.outlook.Node + " is"
}

// reasons names the first of the pods and why the nodes refuse each.
func (t *telling) reasons(pods []*body) string {
	const most = 3
	var lines []string
	for _, b := range pods[:min(most, len(pods))] {
		lines = append(lines, fmt.Sprintf("%s (%s CPU, %s memory): %s", b.name, cores(b.CPU), bytes(b.Memory), t.refusedBy(b)))
	}
	if len(pods) > most {
		lines = append(lines, fmt.Sprintf("and %d more pods", len(pods)-most))
	}
	return strings.Join(lines, "\n")
}

// refusedBy says why each other node refuses a pod: nodes with the same reason together, the most common one first.
func (t *telling) refusedBy(b *body) string {
	by := map[string][]string{}
	search := t.search(b)
	for _, s := range t.spots {
		if s.Node != t.outlook.Node {
			why := t.refusal(search, s)
			by[why] = append(by[why], s.Node)
		}
	}
	reasons := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if len(by[a]) != len(by[b]) {
			return len(by[b]) - len(by[a])
		}
		return strings.Compare(a, b)
	})
	var words []string
	for _, why := range reasons {
		slices.Sort(by[why])
		words = append(words, some(by[why])+" "+why)
	}
	if len(words) == 0 {
		return "there is no other node"
	}
	return finding.Few(words)
}

func (t *telling) refusal(search *search, s *spot) string {
	if slices.Contains(t.together, s.Node) {
		return "is out of service at the same time"
	}
	if why := search.refused(s); why != "" {
		return why
	}
	return s.short(search.body)
}

// some are the first of many nodes and how many more there are.
func some(nodes []string) string {
	const most = 3
	if len(nodes) <= most {
		return strings.Join(nodes, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(nodes[:most], ", "), len(nodes)-most)
}

// cores writes thousandths of a core as Kubernetes does.
func cores(milli int64) string { return fmt.Sprintf("%dm", max(0, milli)) }

// bytes writes an amount of memory in whole MiB, rounded down.
func bytes(n int64) string { return fmt.Sprintf("%dMi", max(0, n)>>20) }
