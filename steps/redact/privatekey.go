package redact

import "bytes"

// A privateKey follows a private key in PEM through the words of a text: its first and its last line are shown, and stars
// for what is between, whether there are newlines, \n as in JSON, or spaces.
type privateKey struct {
	stage  keyStage
	hidden int    // bytes of its body
	short  bool   // the last word of the body is shorter than all but the last may be
	gaps   []byte // what stood between the last words
	quoted bool   // a backslash stands before the body
}

type keyStage int

const (
	noKey    keyStage = iota
	keyNamed          // -----BEGIN was seen
	keyIsPrivate
	keyBegan // the next word is its body
	keyInside
)

// mostOfKey is how much is hidden where no end comes. A key of 16384 bits is shorter.
const mostOfKey = 16 << 10

// hides says whether a word belongs to the body.
func (k *privateKey) hides(word []byte) bool {
	switch {
	case k.stage < keyBegan:
		k.head(word)
		return false
	case bytes.Contains(word, []byte("-----END")), k.isOver(word):
		k.stage = noKey
		return false
	}
	k.hidden += len(word)
	k.gaps = k.gaps[:0]
	return true
}

// begins says whether the body begins with the word just hidden.
func (k *privateKey) begins() bool {
	first := k.stage == keyBegan
	k.stage = keyInside
	return first
}

// newline is the letter of a \n or \r that the body's first word begins with, since the backslash before it is shown.
func (k *privateKey) newline(word []byte) []byte {
	if k.quoted {
		return word[:1]
	}
	return nil
}

// head follows the words of the first line.
func (k *privateKey) head(word []byte) {
	switch {
	case bytes.HasSuffix(word, []byte("-----BEGIN")):
		*k = privateKey{stage: keyNamed}
	case k.stage == noKey:
	case string(word) == "PRIVATE":
		k.stage = keyIsPrivate
	case k.stage == keyIsPrivate && bytes.HasPrefix(word, []byte("KEY-----")):
		k.stage = keyBegan
	case bytes.HasSuffix(word, []byte("-----")) || len(word) > 16:
		k.stage = noKey
	}
}

// isOver says whether a word cannot belong to the body: there was too much, or a second short word, of which a key has
// one. Those of its own headers, as "Proc-Type: 4,ENCRYPTED", have signs that base64 has not.
func (k *privateKey) isOver(word []byte) bool {
	const shortest = 40
	was := k.short
	k.short = len(word) < shortest && !bytes.ContainsAny(word, ":,")
	return was && k.short || k.hidden > mostOfKey
}

// hidesGap says whether a byte between words belongs to the body. A quote ends the string that the key stands in.
func (k *privateKey) hidesGap(c byte) bool {
	if k.stage != keyInside {
		k.quoted = c == '\\'
		return false
	}
	if c == '"' || c == '\'' || c == '`' {
		k.stage = noKey
		return false
	}
	if len(k.gaps) < 64 {
		k.gaps = append(k.gaps, c)
	}
	return true
}

// gap is what was not written between the body and what follows it.
func (k *privateKey) gap() []byte {
	gaps := k.gaps
	k.gaps = nil
	return gaps
}
