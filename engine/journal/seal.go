package journal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// The sum of a line is enough against accidents, but anybody can make one. A seal is an HMAC by a key that is not in the journal: it is
// the last field that a line's sum is made of, and is itself over the sum of the line before, which all lines before went into. So
// one look at the last line tells whether all of them are what holders of the key wrote. That whole lines were cut off the end it
// does not tell: a crash leaves the same.
const (
	sealKey    = `,"seal":"`
	sealDigits = 32
	sealSize   = len(sealKey) + sealDigits + len(`"`)
)

// ErrUnsealed says that the last record has no seal: an older program wrote it, or a file without a key.
var ErrUnsealed = errors.New("its records are not sealed")

// ErrForeign says that the last record was sealed by another key, or was edited since.
var ErrForeign = errors.New("its records were sealed by another key, or were edited")

// Seal has every record that is appended from now on sealed by this key.
func (j *File) Seal(key []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.chain.key = bytes.Clone(key)
}

// Sealed says whether all that was scanned was written by holders of the key that Seal was given: nil, ErrUnsealed or ErrForeign.
// A journal without records is ErrUnsealed.
func (j *File) Sealed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(); err != nil {
		return err
	}
	if err := j.last.check(j.chain.key); err != nil {
		return fmt.Errorf("%s: %w", j.f.Name(), err)
	}
	return nil
}

// Sealed says of what was scanned what File.Sealed does. The writer may be at work.
func (o *Follower) Sealed(key []byte) error {
	if err := o.found.last.check(key); err != nil {
		return fmt.Errorf("%s: %w", o.path, err)
	}
	return nil
}

// A lastLine is the last line that was found right.
type lastLine struct {
	before sum    // of the line before
	line   []byte // without its newline
}

func (l lastLine) check(key []byte) error {
	body, _, _ := cutSum(l.line)
	body, seal := cutSeal(body)
	if seal == nil {
		return ErrUnsealed
	}
	if !hmac.Equal(seal, appendSeal(nil, key, l.before, body)) {
		return ErrForeign
	}
	return nil
}

// appendSeal appends the digits of a line's seal.
func appendSeal(b, key []byte, before sum, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(before[:])
	mac.Write(body)
	return hex.AppendEncode(b, mac.Sum(nil)[:sealDigits/2])
}

// cutSeal parts the body of a line into what its seal was made of and the digits of the seal. Without one, those are nil.
func cutSeal(body []byte) (sealed, digits []byte) {
	at := len(body) - sealSize
	if at < 0 || string(body[at:at+len(sealKey)]) != sealKey || body[len(body)-1] != '"' {
		return body, nil
	}
	return body[:at], body[at+len(sealKey) : len(body)-1]
}
