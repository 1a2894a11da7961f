//go:build e2e

package e2e

import (
	"slices"
	"sync"
	"time"
)

// hostsAtOnce is how many hosts of all labs two cores carry, so that what waits for a cluster does not wait for the machine.
const hostsAtOnce = 10

// A room has places for hosts. Of the tests that find room the one that needs most goes first, since it takes longest.
type room struct {
	mu      sync.Mutex
	changed *sync.Cond
	free    int
	waiting []int
}

func newRoom(places int) *room {
	r := &room{free: places}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// take waits for places; the function that it returns gives them back.
func (r *room) take(places int) (leave func()) {
	r.queue(places)
	time.Sleep(time.Second) // until all have come: the largest would find no room after the others
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.free < places || r.larger(places) {
		r.changed.Wait()
	}
	i := slices.Index(r.waiting, places)
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.free -= places
	r.changed.Broadcast()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.free += places
		r.changed.Broadcast()
	}
}

func (r *room) queue(places int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, places)
}

// larger says whether somebody who needs more would find room too.
func (r *room) larger(than int) bool {
	return slices.ContainsFunc(r.waiting, func(n int) bool { return n > than && n <= r.free })
}
