package sandbox

import (
	"container/heap"
	"context"
	"time"
)

// An agenda is what the pretend cluster does by itself later: pods that end, kubelets that report. One goroutine
// works it off, always under the world's lock, so nothing in the world needs a lock or a goroutine of its own.
type agenda struct {
	items appointments
	seq   int           // keeps the order of appointments at the same moment
	wake  chan struct{} // the earliest appointment changed
}

type appointment struct {
	at  time.Time
	seq int
	do  func()
}

type appointments []appointment

func (a appointments) Len() int { return len(a) }
func (a appointments) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].seq < a[j].seq
	}
	return a[i].at.Before(a[j].at)
}
func (a appointments) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *appointments) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *appointments) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// after calls do, under the world's lock, when the pretend duration d has passed. The caller holds the lock.
func (w *world) after(d time.Duration, do func()) {
	w.agenda.seq++
	at := time.Now().Add(w.pace(d))
	heap.Push(&w.agenda.items, appointment{at, w.agenda.seq, do})
	select {
	case w.agenda.wake <- struct{}{}:
	default:
	}
}

// pace turns a pretend duration into a real one.
func (w *world) pace(d time.Duration) time.Duration { return time.Duration(float64(d) / w.speed) }

// live works the agenda off until ctx ends.
func (w *world) live(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(w.keepAppointments())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.agenda.wake:
		}
	}
}

// keepAppointments does what is due and says how long there is nothing to do.
func (w *world) keepAppointments() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.agenda.items) > 0 {
		if wait := time.Until(w.agenda.items[0].at); wait > 0 {
			return wait
		}
		heap.Pop(&w.agenda.items).(appointment).do()
	}
	return time.Hour
}
