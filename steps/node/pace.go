package node

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// A pod whose budget allows nothing is asked for at once, and then again after kubectl's pause between two evictions (pkg/drain/drain.go),
// which doubles up to leisure: the numbers may be behind, and a controller may act on the request itself.
const (
	breath  = 5 * time.Second
	leisure = 30 * time.Second
)

// An asking is how often an eviction was asked for although a budget allows nothing, and when it was last.
type asking struct {
	times int
	last  time.Time
}

func (a asking) due(now time.Time) bool {
	return a.times == 0 || now.Sub(a.last) >= min(breath<<min(a.times-1, 5), leisure)
}

// pace sets aside the pods that a budget keeps, and that were asked for a moment ago.
func (d *drain) pace(l *load, now time.Time) {
	l.evict = slices.DeleteFunc(l.evict, func(p kube.Pod) bool {
		if l.why[p.UID] == "" || d.asked[p.UID].due(now) {
			return false
		}
		l.blocked = append(l.blocked, p)
		return true
	})
}

func (d *drain) noteAsked(p kube.Pod, now time.Time) {
	if d.asked == nil {
		d.asked = map[string]asking{}
	}
	d.asked[p.UID] = asking{d.asked[p.UID].times + 1, now}
}
