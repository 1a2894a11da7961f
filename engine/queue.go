package engine

import (
	"container/heap"
	"time"
)

// A queue hands numbers out, the smallest first, each once.
type queue struct{ list []int32 }

func (q *queue) len() int { return len(q.list) }

// put sifts by hand, as take does: container/heap would allocate for every node of a run.
func (q *queue) put(n int32) {
	q.list = append(q.list, n)
	for i := len(q.list) - 1; i > 0; {
		up := (i - 1) / 2
		if q.list[up] <= q.list[i] {
			break
		}
		q.list[i], q.list[up] = q.list[up], q.list[i]
		i = up
	}
}

func (q *queue) take() int32 {
	top := q.list[0]
	last := len(q.list) - 1
	q.list[0] = q.list[last]
	q.list = q.list[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return top
		}
		if down+1 < last && q.list[down+1] < q.list[down] {
			down++
		}
		if q.list[i] <= q.list[down] {
			return top
		}
		q.list[i], q.list[down] = q.list[down], q.list[i]
		i = down
	}
}

// A timer is something that the reducer does by itself at a moment of elapsed time.
type timer struct {
	At   time.Duration
	Seq  int // in the order in which they were set, so that equal moments have an order
	What alarm
	ID   int32 // of a node, a host, a member, a rollout
}

// alarm is what a timer is for.
type alarm uint8

const (
	alarmNode   alarm = iota // a node's pause, or its deadline while it waits
	alarmGrant               // a grant that was not used ends
	alarmSoak                // a host has been watched long enough
	alarmRoom                // a rollout without room looks again
	alarmLook                // a look that failed is made again
	alarmPermit              // what stood in the way of effects may be gone: the lock is asked for again, an outage is over
)

// timers are set and never taken back: who set one asks, when it rings, whether it still matters.
type timers struct {
	list []timer
	set  int
}

func (t *timers) Len() int { return len(t.list) }
func (t *timers) Less(i, j int) bool {
	a, b := t.list[i], t.list[j]
	return a.At < b.At || a.At == b.At && a.Seq < b.Seq
}
func (t *timers) Swap(i, j int) { t.list[i], t.list[j] = t.list[j], t.list[i] }

// Push is for container/heap; use add.
func (t *timers) Push(x any) { t.list = append(t.list, x.(timer)) }

// Pop is for container/heap; use due.
func (t *timers) Pop() any {
	last := t.list[len(t.list)-1]
	t.list = t.list[:len(t.list)-1]
	return last
}

func (t *timers) add(at time.Duration, what alarm, id int32) {
	t.set++
	heap.Push(t, timer{at, t.set, what, id})
}

// due takes the next timer whose moment has come.
func (t *timers) due(now time.Duration) (timer, bool) {
	if len(t.list) == 0 || t.list[0].At > now {
		return timer{}, false
	}
	return heap.Pop(t).(timer), true
}
