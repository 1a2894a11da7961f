package redact

import "io"

// Likely takes out of a text for people what looks like a secret: bootstrap tokens of kubeadm and its certificate keys,
// JSON web tokens, bearer tokens, passwords in URLs and behind --password or curl's -u, private keys, keys of AWS. What a
// program goes on to read must not come this way.
func Likely(text string) string {
	return through(text, func(to io.Writer) Writer { return LikelyWriter(to) })
}

// LikelyWriter does the same to a stream. It holds back a word until it has ended.
func LikelyWriter(to io.Writer) Writer { return &likelyWriter{to: to} }

// A likelyWriter reads a stream word by word. Most secrets are a word by themselves; for the others it remembers what the
// words before were.
type likelyWriter struct {
	to      io.Writer
	word    []byte // the word under way, when it began in an earlier piece of the stream
	swallow bool   // the rest of the word belongs to a secret
	before  context
	key     privateKey
	found   bool
	out     []byte // kept for its memory
}

// longestWord is how much of a word is held back; keptOfWord is how much of its end remains so when that is too little.
const (
	longestWord = 8 << 10
	keptOfWord  = 512
)

func (w *likelyWriter) Write(p []byte) (int, error) {
	w.out = w.out[:0]
	for rest := p; len(rest) > 0; {
		n := 0
		for n < len(rest) && inWord(rest[n]) {
			n++
		}
		if n < len(rest) {
			w.finish(rest[:n])
			w.between(rest[n])
			rest = rest[n+1:]
			continue
		}
		w.word = append(w.word, rest...)
		rest = nil
		w.shorten()
	}
	return len(p), w.send()
}

// inWord says whether a byte is none of those that stand between words.
func inWord(c byte) bool {
	switch c {
	case '"', '\'', '`', '<', '>', '[', ']', '{', '}', '\\', 0x7f:
		return false
	}
	return c > ' '
}

func (w *likelyWriter) send() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.to.Write(w.out)
	return err
}

// Flush writes what is held back: the text ends here.
func (w *likelyWriter) Flush() error {
	w.out = w.out[:0]
	w.finish(nil)
	w.before, w.key = context{}, privateKey{}
	return w.send()
}

// Found says whether something was taken out.
func (w *likelyWriter) Found() bool { return w.found }

// finish judges a word whose last part is this.
func (w *likelyWriter) finish(last []byte) {
	word := last
	if len(w.word) > 0 {
		w.word = append(w.word, last...)
		word = w.word
	}
	if len(word) == 0 && !w.swallow {
		return
	}
	if !w.swallow {
		w.take(word)
	} else if end := secretEnd(word, 0); end < len(word) {
		w.take(word[end:])
	}
	w.word, w.swallow = w.word[:0], false
}

// shorten judges the beginning of a word that has become too long.
func (w *likelyWriter) shorten() {
	if len(w.word) <= longestWord {
		return
	}
	if w.swallow {
		if end := secretEnd(w.word, 0); end == len(w.word) {
			w.word = w.word[:0]
			return
		}
		w.finish(nil)
		return
	}
	found := secretsIn(w.word)
	cut := len(w.word) - keptOfWord
	if len(found) > 0 {
		cut = max(cut, found[len(found)-1].to)
	}
	w.swallow = cut == len(w.word)
	w.replace(w.word[:cut], found)
	w.word = append(w.word[:0], w.word[cut:]...)
}

// take writes a whole word, or what is to stand for it.
func (w *likelyWriter) take(word []byte) {
	if w.key.hides(word) {
		w.found = true
		if w.key.begins() {
			w.out = append(append(w.out, w.key.newline(word)...), Stars...)
		}
		return
	}
	w.out = append(w.out, w.key.gap()...)
	found := secretsIn(word)
	if s, ok := w.before.secret(word); ok {
		found = []span{s}
	}
	w.before.after(word)
	w.replace(word, found)
}

// replace writes a word with stars for what was found in it.
func (w *likelyWriter) replace(word []byte, found []span) {
	at := 0
	for _, s := range found {
		w.found = true
		w.out = append(append(w.out, word[at:s.from]...), Stars...)
		at = s.to
	}
	w.out = append(w.out, word[at:]...)
}

// between writes a byte that stands between words.
func (w *likelyWriter) between(c byte) {
	if w.key.hidesGap(c) {
		return
	}
	w.before.gap(c)
	w.out = append(append(w.out, w.key.gap()...), c)
}
