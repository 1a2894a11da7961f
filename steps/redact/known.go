// Package redact takes secrets out of text. Known takes out the values that somebody said are secret, in the forms in
// which programs print them; Likely takes out what looks like one although nobody said so, where the text is for people.
// Both work on streams: what they hold back is what may be the beginning of a secret, and no more. It imports nothing of
// this module.
package redact

import (
	"io"
	"strings"
)

// Stars stand where a secret stood.
const Stars = "***"

// A Known is a set of secret values. The zero Known takes out nothing. It does not change and may be shared.
type Known struct{ trie *trie }

// NewKnown makes a set of these values, leaving out those that are too short to be secrets.
func NewKnown(values ...string) Known {
	forms := formsOf(values)
	if len(forms) == 0 {
		return Known{}
	}
	return Known{newTrie(forms)}
}

// Text returns a text without the secrets.
func (k Known) Text(text string) string {
	if k.trie == nil {
		return text
	}
	return through(text, func(to io.Writer) Writer { return k.Writer(to) })
}

// Writer takes the secrets out of a stream on its way to a writer.
func (k Known) Writer(to io.Writer) Writer {
	if k.trie == nil {
		return plain{to}
	}
	return &knownWriter{trie: k.trie, to: to}
}

// A Writer takes secrets out of a stream. What it holds back goes on with what is written next, or with Flush, after
// which a new text may begin.
type Writer interface {
	io.Writer
	Flush() error
	// Found says whether a secret was taken out.
	Found() bool
}

// plain takes out nothing.
type plain struct{ io.Writer }

func (plain) Flush() error { return nil }

func (plain) Found() bool { return false }

// through sends a whole text through a writer.
func through(text string, by func(io.Writer) Writer) string {
	const piece = 32 << 10 // what is held back does not become larger than that
	var b strings.Builder
	b.Grow(len(text))
	w := by(&b)
	for from := 0; from < len(text); from += piece {
		_, _ = io.WriteString(w, text[from:min(from+piece, len(text))]) // to memory
	}
	_ = w.Flush()
	return b.String()
}

// A knownWriter covers every byte that belongs to an occurrence of a secret, also where occurrences overlap, and writes
// stars for each run of covered bytes. A byte is written once no occurrence that is under way can cover it.
type knownWriter struct {
	trie  *trie
	to    io.Writer
	at    int32  // the node that tells what the input ends with
	held  []byte // bytes that are not decided
	cover []span // of held, in order
	stars bool   // the last that was written stands for a run that goes on, if held begins covered
	found bool
	out   []byte // for what is written, kept for its memory
}

type span struct{ from, to int }

func (w *knownWriter) Write(p []byte) (int, error) {
	text := p
	if len(w.held) > 0 {
		w.held = append(w.held, p...)
		text = w.held
	}
	w.look(text, len(text)-len(p))
	decided := len(text) - int(w.trie.nodes[w.at].depth)
	err := w.emit(text[:decided])
	w.held = append(w.held[:0], text[decided:]...)
	return len(p), err
}

// look finds the occurrences that end behind from.
func (w *knownWriter) look(text []byte, from int) {
	for i := from; i < len(text); i++ {
		if w.at == 0 {
			for i < len(text) && w.trie.first[text[i]] == 0 {
				i++
			}
			if i == len(text) {
				return
			}
		}
		w.at = w.trie.step(w.at, text[i])
		if n := int(w.trie.nodes[w.at].longest); n > 0 {
			w.add(span{i + 1 - n, i + 1})
		}
	}
}

// add takes in an occurrence that ends behind all others. Runs that touch are one.
func (w *knownWriter) add(s span) {
	w.found = true
	for n := len(w.cover); n > 0 && w.cover[n-1].to >= s.from; n-- {
		s.from = min(s.from, w.cover[n-1].from)
		w.cover = w.cover[:n-1]
	}
	w.cover = append(w.cover, s)
}

// emit writes what is decided, and keeps what is known of the rest.
func (w *knownWriter) emit(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	rest := w.cover[:0]
	out, at := w.out[:0], 0
	for _, s := range w.cover {
		if s.from >= len(text) {
			rest = append(rest, span{s.from - len(text), s.to - len(text)})
			continue
		}
		if !w.stars || s.from > 0 {
			out = append(append(out, text[at:s.from]...), Stars...)
		}
		if at = s.to; at > len(text) {
			rest, at = append(rest, span{0, s.to - len(text)}), len(text)
		}
		w.stars = true
	}
	if at < len(text) {
		w.stars = false
	}
	w.cover = rest
	var err error
	if at == 0 {
		_, err = w.to.Write(text) // nothing was found, as nearly always
	} else if out = append(out, text[at:]...); len(out) > 0 {
		_, err = w.to.Write(out)
	}
	w.out = out
	return err
}

// Found says whether there was an occurrence.
func (w *knownWriter) Found() bool { return w.found }

// tellingPart is how much of the beginning of a secret is covered where a text ends with it, as when a program was killed.
const tellingPart = 8

// Flush writes what is held back: the text ends here.
func (w *knownWriter) Flush() error {
	if n := len(w.held); n >= tellingPart {
		w.add(span{0, n})
	}
	err := w.emit(w.held)
	w.held, w.cover, w.at, w.stars = w.held[:0], w.cover[:0], 0, false
	return err
}
