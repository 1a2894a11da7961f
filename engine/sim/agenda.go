package sim

import "time"

// An agenda is what will happen, in the order of time. Two things at one moment happen in the order they were planned.
type agenda struct {
	now    time.Duration // of the world: it passes also while no process is alive
	serial int
	heap   []appointment
}

type appointment struct {
	at     time.Duration
	serial int
	do     func()
}

func (a appointment) before(b appointment) bool {
	return a.at < b.at || a.at == b.at && a.serial < b.serial
}

// after plans something for a moment from now on.
func (a *agenda) after(d time.Duration, do func()) {
	a.serial++
	a.heap = append(a.heap, appointment{a.now + max(d, 0), a.serial, do})
	for i := len(a.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.heap[i].before(a.heap[parent]) {
			return
		}
		a.heap[i], a.heap[parent] = a.heap[parent], a.heap[i]
		i = parent
	}
}

// next lets the next thing happen, and says whether there was one.
func (a *agenda) next() bool {
	if len(a.heap) == 0 {
		return false
	}
	first := a.pop()
	a.now = first.at
	first.do()
	return true
}

// pass lets everything happen that is planned for the time until then.
func (a *agenda) pass(d time.Duration) {
	for end := a.now + d; ; {
		if len(a.heap) == 0 || a.heap[0].at > end {
			a.now = end
			return
		}
		a.next()
	}
}

func (a *agenda) pop() appointment {
	first, last := a.heap[0], len(a.heap)-1
	a.heap[0] = a.heap[last]
	a.heap[last] = appointment{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if a.heap[child].before(a.heap[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		a.heap[i], a.heap[least] = a.heap[least], a.heap[i]
		i = least
	}
}
