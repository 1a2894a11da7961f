package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// sealed makes a journal of three records by a key, and returns its directory.
func sealed(t *testing.T, key []byte) string {
	t.Helper()
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if key != nil {
		j.Seal(key)
	}
	if err := errors.Join(j.Append(Record{Kind: Begin}), j.Append(Record{Kind: Intent, Node: "a@h"}, Record{Kind: Intent, Node: "b@h"})); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sealOf(t *testing.T, dir string, key []byte) error {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.Seal(key)
	return j.Sealed()
}

// A journal is taken for what holders of the key wrote if they did: also with nothing new, and with more appended by another of them.
func TestSealed(t *testing.T) {
	mine, theirs := []byte("mine"), []byte("theirs")
	for name, tt := range map[string]struct {
		dir  string
		want error
	}{
		"by this key":    {sealed(t, mine), nil},
		"by another key": {sealed(t, theirs), ErrForeign},
		"by none":        {sealed(t, nil), ErrUnsealed},
		"no records":     {t.TempDir(), ErrUnsealed},
	} {
		if err := sealOf(t, tt.dir, mine); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if records, err := read(tt.dir); err != nil || name != "no records" && len(records) != 3 {
			t.Errorf("%s: without the key %d records, %v", name, len(records), err)
		}
	}
	dir := sealed(t, nil)
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	j.Seal(mine)
	if err := errors.Join(j.Append(Record{Kind: Pinned}), j.Close()); err != nil {
		t.Fatal(err)
	}
	if err := sealOf(t, dir, mine); err != nil {
		t.Errorf("taken over by this key: %v", err)
	}
}

// Whoever edits a record and makes all sums anew, as anybody can, does not make the seal.
func TestAnEditWithRightSumsIsForeign(t *testing.T) {
	key := []byte("mine")
	for _, edit := range []func([]byte) []byte{
		func(text []byte) []byte { return bytes.Replace(text, []byte(`"a@h"`), []byte(`"c@h"`), 1) },
		func(text []byte) []byte { return bytes.Replace(text, []byte(`"b@h"`), []byte(`"c@h"`), 1) },
	} {
		dir := sealed(t, key)
		path := filepath.Join(dir, Name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, resummed(edit(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		if records, err := read(dir); err != nil || len(records) != 3 {
			t.Fatalf("the sums are not right: %d records, %v", len(records), err)
		}
		if err := sealOf(t, dir, key); !errors.Is(err, ErrForeign) {
			t.Errorf("%v", err)
		}
	}
}

// resummed is a journal with the sums that fit its lines.
func resummed(text []byte) []byte {
	var c chain
	var out []byte
	for line := range bytes.Lines(text) {
		body, _, _ := cutSum(bytes.TrimSuffix(line, []byte("\n")))
		c.next(body)
		out = append(append(out, body...), sumKey...)
		out = append(hex.AppendEncode(out, c.sum[:sumDigits/2]), "\"}\n"...)
	}
	return out
}

// A sealed journal takes the fast way of reading, as one without seals does.
func TestASealIsReadFast(t *testing.T) {
	dir := sealed(t, []byte("mine"))
	text, err := os.ReadFile(filepath.Join(dir, Name))
	if err != nil {
		t.Fatal(err)
	}
	d := newDecoder()
	for line := range bytes.Lines(text) {
		body, _, _ := cutSum(bytes.TrimSuffix(line, []byte("\n")))
		if _, digits := cutSeal(body); digits == nil || !agree(t, d, body) {
			t.Errorf("%s", line)
		}
	}
}
