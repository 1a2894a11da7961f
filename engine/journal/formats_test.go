package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Of every format there was, a journal is kept as a program of its time wrote it.
func TestEveryFormatIsRead(t *testing.T) {
	for format, check := range map[string]func(*testing.T, []Record){"1": isFormat1, "2": isFormat2} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			data, err := os.ReadFile(filepath.Join("testdata", "format-"+format+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, Name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			j, got, err := reopen(dir)
			if err != nil || len(got) != 13 {
				t.Fatalf("%d records of 13, %v", len(got), err)
			}
			check(t, got)
			if err := j.Append(Record{Kind: Begin}); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if got, err := read(dir); err != nil || len(got) != 14 || got[13].Format != Format {
				t.Errorf("gone on with: %d records of 14, %v; want the last to be of format %d", len(got), err, Format)
			}
		})
	}
}

func isFormat1(t *testing.T, got []Record) {
	t.Helper()
	if r := got[0]; r.Kind != Begin || r.Format != 0 || r.Facts["version@cp1"] != "1.27.16" {
		t.Errorf("it begins with %+v", r)
	}
	if r := got[4]; r.Ticket != "r1-2" || r.From != 0 || r.Elapsed != 0 || r.Host != "" {
		t.Errorf("its second intent is %+v", r)
	}
	if want := time.Date(2026, 1, 2, 15, 5, 18, 623456789, time.UTC); !got[8].Until.Equal(want) {
		t.Errorf("it soaks until %v, want %v", got[8].Until, want)
	}
}

func isFormat2(t *testing.T, got []Record) {
	t.Helper()
	if r := got[0]; r.Kind != Begin || r.Format != 2 || r.Facts["version@cp1"] != "1.27.16" {
		t.Errorf("it begins with %+v", r)
	}
	if r := got[4]; r.Ticket != "r1-2" || r.From != 4 || r.Elapsed != 4500*time.Millisecond || r.Host != "w1" || r.Uses != "node.drain" {
		t.Errorf("its second intent is %+v", r)
	}
}

// A format 1 journal does not say which records were appended together, so only intents count as that.
func TestATornAppendOfFormat1(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "format-1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	before, first, second := bytes.Join(lines[:3], nil), lines[3], lines[4]
	edge := (len(before)/sector + 1) * sector
	torn := bytes.Join([][]byte{before, make([]byte, edge-len(before)), first[edge-len(before):], second}, nil)
	if got, err := records(t, torn); err != nil || len(got) != 3 {
		t.Errorf("the first of two intents lost: %d records, %v; want 3", len(got), err)
	}
	if got, err := records(t, append(torn, lines[5]...)); !errors.Is(err, ErrDamaged) {
		t.Errorf("the first of two intents lost before their outcome: %d records, %v; want ErrDamaged", len(got), err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	var c chain
	var data []byte
	for i, r := range []Record{{Kind: Begin, Format: Format}, {Kind: End}, {Kind: Begin, Format: Format + 1}, {Kind: "unheard-of"}} {
		r.Seq, r.Time = int64(i+1), time.Unix(1767225600, 0)
		var err error
		if data, err = c.appendLine(data, &r); err != nil {
			t.Fatal(err)
		}
	}
	data = append(data, `{"seq":5,"ti`...) // cut short, and not ours to cut off
	path := filepath.Join(dir, Name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, opened := reopen(dir)
	_, read := read(dir)
	want := fmt.Sprintf("was written by a newer upgrader (format %d; this one reads up to %d): go on with that one", Format+1, Format)
	for _, err := range []error{opened, read} {
		if !errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want ErrNewer naming both formats", err)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(data, after) {
		t.Error("opening a newer journal changed it")
	}
}
