package kube

import (
	"testing"
	"time"
)

// The parts of a lock's life hang together, in earnest and in the hurry of tests: nobody takes it before what was sent under it
// has arrived and is over; a write may begin until a renewal that was lost has been made again; and it outlasts admission.
func TestThePaceHangsTogether(t *testing.T) {
	client, err := New("http://nowhere", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	hurried := NewLock(client, Identity{})
	hurried.Hurry(time.Second)
	for name, p := range map[string]pace{"usual": usualPace(), "hurried": hurried.pace} {
		const serverSeesThrough = 34 * time.Second
		begins := p.trust - p.write // at the latest, after the renewal that it rests on
		if p.duration < begins+p.transit+p.write {
			t.Errorf("%s: after %s somebody else takes the lock, and a write may go on for %s", name, p.duration, begins+p.transit+p.write)
		}
		if begins < p.renewal+p.request {
			t.Errorf("%s: a write begins within %s of a renewal, and one that is lost is made again after %s", name, begins, p.renewal+p.request)
		}
		if p.write < serverSeesThrough+p.request {
			t.Errorf("%s: a write of %s does not outlast admission, nor a renewal before it", name, p.write)
		}
	}
	if hurried.pace != usualPace() {
		t.Errorf("in tests the lock has other proportions: %+v, in earnest %+v", hurried.pace, usualPace())
	}
}
