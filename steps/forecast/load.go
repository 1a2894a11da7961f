package forecast

import (
	"slices"
	"time"
)

// A load is what a drain finds on a node, by the rules of the step node.drain, which are those of kubectl drain
// (kubectl: pkg/drain/filters.go). Pods that it refuses are among those that it evicts too: what would follow once the
// plan let them go is worth knowing as well.
type load struct {
	evict      []*body // the important first, then the large
	unmanaged  []*body // refused: nobody makes them anew
	scratch    []*body // refused: what they keep in emptyDir volumes would be lost
	daemonSets []*body // refused: their DaemonSet would place them here again; they stay
}

func (o Options) sort(standing []*body) load {
	l := load{}
	all := slices.SortedFunc(slices.Values(standing), first)
	for _, b := range all {
		switch {
		case o.PodSelector != nil && !o.PodSelector(b.Labels) || b.Mirror:
		case b.OwnerKind == "DaemonSet":
			if !o.IgnoreDaemonSets {
				l.daemonSets = append(l.daemonSets, b)
			}
		default:
			l.evict = append(l.evict, b)
			if b.EmptyDir && !o.DeleteEmptyDir {
				l.scratch = append(l.scratch, b)
			} else if b.OwnerKind == "" && !o.Force {
				l.unmanaged = append(l.unmanaged, b)
			}
		}
	}
	return l
}

// grace is how long a pod may take to end.
func (o Options) grace(b *body) time.Duration {
	if o.GracePeriod > 0 {
		return o.GracePeriod
	}
	return b.Grace
}
