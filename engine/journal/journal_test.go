package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// write fills a journal with n records, one append each, and returns its bytes and where each record ends.
func write(t *testing.T, dir string, n int) (data []byte, ends []int) {
	t.Helper()
	j, past, err := reopen(dir)
	if err != nil || len(past) != 0 {
		t.Fatalf("opening a new journal: %v, %d records", err, len(past))
	}
	for i := range n {
		if err := j.Append(Record{Kind: Intent, Node: fmt.Sprintf("drain@w%d", i), Say: `evict "its" pods`, Facts: map[string]string{"snapshot@cp1": "/var/lib/x.db"}}); err != nil {
			t.Fatal(err)
		}
		data, _ = os.ReadFile(filepath.Join(dir, Name))
		ends = append(ends, len(data))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return data, ends
}

// read is all that the journal in dir holds.
func read(dir string) (got []Record, err error) {
	err = Scan(dir, func(r *Record) error {
		got = append(got, *r)
		return nil
	})
	return got, err
}

// reopen takes the journal in dir and returns all that it holds.
func reopen(dir string) (j *File, got []Record, err error) {
	if j, err = Open(dir); err != nil {
		return nil, nil, err
	}
	err = j.Scan(func(r *Record) error {
		got = append(got, *r)
		return nil
	})
	if err != nil {
		return nil, got, errors.Join(err, j.Close())
	}
	return j, got, nil
}

func records(t *testing.T, data []byte) ([]Record, error) {
	t.Helper()
	var got []Record
	_, err := scan(bytes.NewReader(data), Name, extent{}, func(r *Record) error {
		got = append(got, *r)
		return nil
	})
	return got, err
}

func TestEveryTruncationLosesOnlyTheCutRecord(t *testing.T) {
	data, ends := write(t, t.TempDir(), 12)
	whole := 0
	for cut := range len(data) {
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		got, err := records(t, data[:cut])
		if err != nil {
			t.Fatalf("cut at byte %d of %d: %v", cut, len(data), err)
		}
		if len(got) != whole {
			t.Fatalf("cut at byte %d: %d records, want the %d that were whole", cut, len(got), whole)
		}
	}
}

func TestEveryBitFlipIsNoticed(t *testing.T) {
	data, _ := write(t, t.TempDir(), 6)
	for i := range data {
		for bit := range 8 {
			damaged := append([]byte(nil), data...)
			damaged[i] ^= 1 << bit
			if got, err := records(t, damaged); !errors.Is(err, ErrDamaged) {
				t.Fatalf("bit %d of byte %d (%q) flipped: %d records, error %v; want ErrDamaged", bit, i, data[i], len(got), err)
			}
		}
	}
}

func TestBlocksThatNeverReachedTheDiskAreATornTail(t *testing.T) {
	data, ends := write(t, t.TempDir(), 5)
	for at := ends[3]; at < len(data)-8; at++ {
		torn := append([]byte(nil), data...)
		for i := at; i < len(torn); i++ {
			torn[i] = 0
		}
		if got, err := records(t, torn); err != nil || len(got) != 4 {
			t.Fatalf("NULs from byte %d: %d records, %v; want the first 4", at, len(got), err)
		}
	}
}

func TestSwappedAndRepeatedRecordsAreDamage(t *testing.T) {
	data, _ := write(t, t.TempDir(), 4)
	lines := strings.SplitAfter(string(data), "\n")
	for name, doc := range map[string]string{
		"swapped":  lines[0] + lines[2] + lines[1] + lines[3],
		"repeated": lines[0] + lines[1] + lines[1] + lines[2] + lines[3],
		"missing":  lines[0] + lines[2] + lines[3],
		"headless": lines[1] + lines[2] + lines[3],
	} {
		if _, err := records(t, []byte(doc)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "record ") {
			t.Errorf("%s: %v, want ErrDamaged naming the record", name, err)
		}
	}
}

func TestReopenCutsTheTailAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	data, ends := write(t, dir, 3)
	if err := os.WriteFile(filepath.Join(dir, Name), data[:ends[2]-7], 0o600); err != nil {
		t.Fatal(err)
	}
	j, past, err := reopen(dir)
	if err != nil || len(past) != 2 {
		t.Fatalf("%d records, %v; want 2", len(past), err)
	}
	if err := j.Append(Record{Kind: End, State: "done"}, Record{Kind: Begin}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for i, r := range got {
		kinds = append(kinds, r.Kind)
		if r.Seq != int64(i+1) || r.Time.IsZero() {
			t.Errorf("record %d has seq %d and time %v", i+1, r.Seq, r.Time)
		}
	}
	if d := cmp.Diff([]Kind{Intent, Intent, End, Begin}, kinds); d != "" {
		t.Error(d)
	}
}

func TestDamageIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	data, _ := write(t, dir, 3)
	data[20] ^= 4
	path := filepath.Join(dir, Name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reopen(dir); !errors.Is(err, ErrDamaged) {
		t.Fatalf("got %v", err)
	}
	if after, _ := os.ReadFile(path); !cmp.Equal(data, after) {
		t.Error("opening a damaged journal changed it")
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if !InUse(dir) {
		t.Error("InUse is false while the journal is open")
	}
	if _, err := read(dir); err != nil {
		t.Errorf("reading beside the writer: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if InUse(dir) {
		t.Error("InUse is true after Close")
	}
}

func TestAfterAFailedWriteNothingIsAppended(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Kind: Begin}); err != nil {
		t.Fatal(err)
	}
	_ = j.f.Close() // every write fails from here on, as with a disk gone
	first := j.Append(Record{Kind: Intent})
	second := j.Append(Record{Kind: Outcome})
	if first == nil || second == nil || second.Error() != first.Error() {
		t.Errorf("appends after a failure: %v, then %v; want the first error for ever", first, second)
	}
	if got, err := read(dir); err != nil || len(got) != 1 {
		t.Errorf("%d records, %v; want the one that was acknowledged", len(got), err)
	}
}

// What was acknowledged is read back, whatever was written in whatever batches, cut anywhere after it.
func TestAcknowledgedRecordsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var data []byte
		var c chain
		var want []Record
		acked := 0
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			for range rapid.IntRange(1, 4).Draw(t, "records") {
				r := Record{Seq: int64(len(want) + 1), Kind: Outcome, Node: rapid.String().Draw(t, "node"), Why: rapid.String().Draw(t, "why")}
				var err error
				if data, err = c.appendLine(data, &r); err != nil {
					t.Fatal(err)
				}
				want = append(want, r)
			}
			if rapid.Bool().Draw(t, "acked") {
				acked = len(data)
			}
		}
		cut := rapid.IntRange(acked, len(data)).Draw(t, "cut")
		n := 0
		found, err := scan(bytes.NewReader(data[:cut]), Name, extent{}, func(r *Record) error {
			if r.Seq != want[n].Seq || r.Why != strings.ToValidUTF8(want[n].Why, "\ufffd") {
				t.Fatalf("record %d is %+v, want %+v", n+1, r, want[n])
			}
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if found.size < int64(acked) {
			t.Fatalf("read back %d bytes, %d were acknowledged", found.size, acked)
		}
	})
}
