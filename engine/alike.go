package engine

import (
	"fmt"
	"strings"
)

// alike are the words of failures, each reason once: where many changes fail for the same, as thirty evictions do whose
// credentials have expired, the first is told and the others are counted.
func alike(list []*Failure) []string {
	var words []string
	first, others := map[string]int{}, map[int]int{}
	for _, f := range list {
		reason := f.reason()
		if at, known := first[reason]; known {
			others[at]++
			continue
		}
		first[reason] = len(words)
		words = append(words, f.Why)
	}
	for at, n := range others {
		words[at] += fmt.Sprintf("\n(and %d more like it)", n)
	}
	return words
}

// reason is why it failed without what it was that failed, whose parts may stand alone, as in an address.
func (f *Failure) reason() string {
	var names []string
	for _, name := range append([]string{f.Of}, strings.Split(f.Of, "/")...) {
		if name != "" {
			names = append(names, name, "*")
		}
	}
	return strings.NewReplacer(names...).Replace(f.Why)
}
