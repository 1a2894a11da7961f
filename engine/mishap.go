package engine

import "strings"

// A mishap is what the latest attempt met that did not go well, at a change that is not known to have been made since. A step
// may wait for something else by the time it ends, and its end tells it all the same.
type mishap struct {
	Change string // by its words
	Why    string
}

// met notes what an attempt of this process met. One that the step's own deadline has cut off tells nothing, unless it was the
// first.
func (r *Reducer) met(w *work, e *effect, why string) {
	if w.Stage == making && (r.now < w.Deadline || w.Last.Why == "") {
		w.Last = mishap{w.Proposals[e.Change].key(), why}
	}
}

// forget drops what the latest attempt met, if it was at such a change.
func (w *work) forget(is func(change string) bool) {
	if w.Last.Why != "" && is(w.Last.Change) {
		w.Last = mishap{}
	}
}

// withLast adds to an end what the latest attempt met, where it does not say so already.
func (w *work) withLast(end string) string {
	if strings.Contains(end, w.Last.Why) {
		return end
	}
	return end + "; the last attempt: " + w.Last.Why
}
