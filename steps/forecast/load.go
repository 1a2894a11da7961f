package forecast

import (
	"slices"

	"upgrader.dev/upgrader/steps/eviction"
)

// A load is what a drain finds on a node. Pods that it refuses are among those that it evicts too, but for those of DaemonSets: what
// would follow once the plan let them go is worth knowing as well.
type load struct {
	evict   []*body // the important first, then the large
	refused map[eviction.Reason][]*body
}

func sort(rules eviction.Rules, standing []*body) load {
	l := load{refused: map[eviction.Reason][]*body{}}
	for _, b := range slices.SortedFunc(slices.Values(standing), first) {
		fate, why := rules.Judge(b.Pod)
		if fate == eviction.Refused {
			l.refused[why] = append(l.refused[why], b)
		}
		if fate == eviction.Goes || fate == eviction.Refused && why != eviction.OfDaemonSet {
			l.evict = append(l.evict, b)
		}
	}
	return l
}
