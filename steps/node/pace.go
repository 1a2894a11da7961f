package node

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// A pod that is not let go is asked for at once, and then again after kubectl's pause between two evictions (pkg/drain/drain.go), which
// doubles up to leisure: a budget's numbers may be behind, a controller may act on the request itself, and a webhook may be back.
const (
	breath  = 5 * time.Second
	leisure = 30 * time.Second
)

// An asking is how often an eviction was asked for, and when it was last.
type asking struct {
	times int
	last  time.Time
}

func (a asking) due(now time.Time) bool {
	return a.times == 0 || now.Sub(a.last) >= min(breath<<min(a.times-1, 5), leisure)
}

// pace sets aside the pods that a budget keeps, or admission, and that were asked for a moment ago.
func (d *drain) pace(l *load, now time.Time) {
	l.said = d.answers.all()
	l.evict = slices.DeleteFunc(l.evict, func(p kube.Pod) bool {
		if l.why[p.UID]+l.said[p.UID] == "" || d.asked[p.UID].due(now) {
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

// answers hold what was said of pods, by UID, when they were asked for and not let go, other than by a budget. They are safe for
// concurrent use, since evictions are made at the same time.
type answers struct {
	mu   sync.Mutex
	said map[string]string
}

// hear takes in how an eviction ended.
func (a *answers) hear(p kube.Pod, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said == nil {
		a.said = map[string]string{}
	}
	delete(a.said, p.UID)
	if notYet, ok := errors.AsType[*engine.NotYetError](err); ok {
		a.said[p.UID] = notYet.Why
	}
}

// all returns a copy.
func (a *answers) all() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.said)
}
