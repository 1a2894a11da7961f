package journal

import "hash/maphash"

const (
	slots   = 1 << 12
	longest = 128
)

// Words remembers short strings, so that what many records say is kept once: nodes, hosts, states, the ticket of an
// intent and of its outcome. It does not grow: a word gives way to the next one that falls on its slot.
type words struct {
	seed  maphash.Seed
	slots [slots]string
}

func newWords() *words { return &words{seed: maphash.MakeSeed()} }

// word is the string that stands for the inside of a JSON string as it is, if it is plain.
func (w *words) word(b []byte) (string, bool) {
	if len(b) > longest {
		if !plain(b) {
			return "", false
		}
		return string(b), true
	}
	slot := &w.slots[maphash.Bytes(w.seed, b)%slots]
	if *slot == string(b) { // only what is plain gets there
		return *slot, true
	}
	if !plain(b) {
		return "", false
	}
	*slot = string(b)
	return *slot, true
}
