package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A growing file ends where its writer has got to, and goes on after that.
type growing struct{ parts [][]byte }

func (g *growing) Read(b []byte) (int, error) {
	if len(g.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, g.parts[0])
	if g.parts[0] = g.parts[0][n:]; len(g.parts[0]) == 0 && n < len(b) {
		g.parts = g.parts[1:]
		if n == 0 {
			return 0, io.EOF
		}
	}
	return n, nil
}

// What a writer appends while its journal is read is left out, or read, but never taken for damage.
func TestReadingBesideItsWriter(t *testing.T) {
	h := written(t, [][]Record{{{Kind: Begin}}, {{Kind: Intent}, {Kind: Intent}}, {{Kind: Outcome}}, {{Kind: End}}})
	for cut := range h.data {
		got := 0
		f := &growing{parts: [][]byte{h.data[:cut], nil, h.data[cut:]}}
		if _, err := scan(f, Name, extent{}, func(*Record) error { got++; return nil }); err != nil || got < h.whole(cut) {
			t.Fatalf("read while it grew at byte %d: %d records, %v; want the %d that were whole", cut, got, err, h.whole(cut))
		}
	}
}

// Lines longer than what is read at once, and chunks that end anywhere in a line.
func TestLinesOfEveryLength(t *testing.T) {
	var appends [][]Record
	for i := range 40 {
		appends = append(appends, []Record{{Kind: Wait, Why: say(i * i * i * 5)}, {Kind: Start}})
	}
	h := written(t, appends)
	if len(h.data) < 10*chunk {
		t.Fatalf("%d bytes are too few to tell", len(h.data))
	}
	got, err := records(t, h.data)
	if err != nil || len(got) != 80 {
		t.Fatalf("%d records of 80, %v", len(got), err)
	}
	for i := range 40 {
		if n := len(got[2*i].Why); n != i*i*i*5 {
			t.Errorf("record %d has %d bytes of %d", 2*i+1, n, i*i*i*5)
		}
	}
}

// An error of each ends the scan at once and comes back as it is, and leaves an open journal alone.
func TestAnErrorOfEachEndsTheScan(t *testing.T) {
	dir := t.TempDir()
	cut := written(t, [][]Record{make([]Record, 5000)}).data
	cut = cut[:len(cut)-1]
	path := filepath.Join(dir, Name)
	if err := os.WriteFile(path, cut, 0o600); err != nil {
		t.Fatal(err)
	}
	enough, seen := errors.New("enough"), 0
	each := func(*Record) error {
		if seen++; seen%2 == 0 {
			return enough
		}
		return nil
	}
	if err := Scan(dir, each); err != enough { //nolint:errorlint // as it is
		t.Errorf("Scan: %v", err)
	}
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Scan(each); err != enough { //nolint:errorlint // as it is
		t.Errorf("File.Scan: %v", err)
	}
	if seen != 4 {
		t.Errorf("%d records were shown, want 4", seen)
	}
	if after, _ := os.ReadFile(path); len(after) != len(cut) {
		t.Errorf("%d bytes are left of %d", len(after), len(cut))
	}
	if err := j.Close(); err != nil || InUse(dir) {
		t.Errorf("the journal is in use after it was given back: %v", err)
	}
}

// A journal that is held tells the same however often it is asked, and what was appended since.
func TestScanningAgain(t *testing.T) {
	dir := t.TempDir()
	data, ends := write(t, dir, 3)
	path := filepath.Join(dir, Name)
	if err := os.WriteFile(path, data[:ends[2]-7], 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	scanned := func() (n int64) {
		t.Helper()
		if err := j.Scan(func(r *Record) error { n = r.Seq; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if first, second := scanned(), scanned(); first != 2 || second != 2 {
		t.Errorf("%d records, then %d; want the 2 that are whole", first, second)
	}
	if err := j.Append(Record{Kind: Begin}, Record{Kind: End}); err != nil {
		t.Fatal(err)
	}
	if n := scanned(); n != 4 {
		t.Errorf("%d records after two were appended to 2", n)
	}
	if err := os.Truncate(path, int64(ends[1])); err != nil {
		t.Fatal(err)
	}
	if err := j.Scan(func(*Record) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Errorf("cut by somebody else: %v, want ErrDamaged", err)
	}
}

// Who only appends goes on where the last whole record ends all the same, and not at all behind damage.
func TestAppendingUnread(t *testing.T) {
	dir := t.TempDir()
	data, ends := write(t, dir, 3)
	path := filepath.Join(dir, Name)
	damaged := bytes.Clone(data)
	damaged[20] ^= 4
	for _, c := range []struct {
		data []byte
		want error
		left int
	}{{data[:ends[2]-7], nil, 3}, {damaged, ErrDamaged, 0}} {
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append(Record{Kind: End}); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
		_ = j.Close()
		if got, err := read(dir); !errors.Is(err, c.want) || c.want == nil && len(got) != c.left {
			t.Errorf("%d records are read back, %v; want %d, %v", len(got), err, c.left, c.want)
		}
		if after, _ := os.ReadFile(path); c.want != nil && !bytes.Equal(after, c.data) {
			t.Error("appending to a damaged journal changed it")
		}
	}
}

// A line whose checksum is right and that is no record, or another one, was never written by this program.
func TestRightChecksumsOfWrongRecordsAreDamage(t *testing.T) {
	for body, want := range map[string]string{
		`{"seq":2,"time":"2026-01-02T15:04:05Z","kind":"end"`:     "at record 1 (byte 0): its checksum is right, but it says that it is record 2",
		`{"seq":1,"time":"2026-01-02T15:04:05Z","kind":"end"}`:    "at record 1 (byte 0): its checksum is right, but: invalid character",
		`{"seq":1,"time":"2026-01-02T15:04:05Z","kind":["end"]`:   "json: cannot unmarshal array",
		`{"seq":1,"time":"2026-01-02T15:04:05Z" ,"kind":"start" `: "",
	} {
		var c chain
		c.next([]byte(body))
		line := fmt.Sprintf("%s%s%x\"}\n", body, sumKey, c.sum[:sumDigits/2])
		_, err := records(t, []byte(line))
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// failing reads some bytes and then fails, as a disk does.
type failing struct{ bytes.Reader }

var errDisk = errors.New("the disk is gone")

func (f *failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		err = errDisk
	}
	return n, err
}

func TestADiskThatFailsIsNoTornTail(t *testing.T) {
	h := written(t, [][]Record{{{Kind: Begin}}, {{Kind: Outcome}}})
	if _, err := scan(&failing{*bytes.NewReader(h.data[:h.last()+5])}, Name, extent{}, func(*Record) error { return nil }); !errors.Is(err, errDisk) {
		t.Errorf("%v, want the disk's error", err)
	}
}

// Who follows a journal sees every record once, wherever its writer has got to at each look, and also when what was torn at one look
// has been cut off and written over at the next.
func TestAFollowerSeesEachRecordOnce(t *testing.T) {
	h := written(t, [][]Record{{{Kind: Begin}}, {{Kind: Intent}, {Kind: Intent}}, {{Kind: Outcome}}, {{Kind: End}}})
	for cut := range h.data {
		dir := t.TempDir()
		o, got := NewFollower(dir), 0
		count := func(r *Record) error {
			if got++; r.Seq != int64(got) {
				t.Fatalf("cut at byte %d: record %d came as number %d", cut, r.Seq, got)
			}
			return nil
		}
		if err := o.Scan(count); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("a journal that is not there: %v", err)
		}
		for _, data := range [][]byte{h.data[:cut], append(slices.Clone(h.data[:cut]), make([]byte, 40)...), h.data, h.data} {
			if err := os.WriteFile(filepath.Join(dir, Name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := o.Scan(count); err != nil {
				t.Fatalf("cut at byte %d: %v", cut, err)
			}
		}
		if got != h.whole(len(h.data)) {
			t.Fatalf("cut at byte %d: %d records of %d", cut, got, h.whole(len(h.data)))
		}
	}
}

// A follower does not take another journal for the rest of the one that it has read.
func TestAFollowerOfAnotherJournalTellsDamage(t *testing.T) {
	h, other := written(t, [][]Record{{{Kind: Begin}}}), written(t, [][]Record{{{Kind: Begin, Why: "other"}}, {{Kind: End}}, {{Kind: Beat}}})
	dir := t.TempDir()
	o := NewFollower(dir)
	for i, data := range [][]byte{h.data, append(slices.Clone(h.data), other.data[other.ends[0]:]...)} {
		if err := os.WriteFile(filepath.Join(dir, Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := o.Scan(func(*Record) error { return nil }); errors.Is(err, ErrDamaged) != (i == 1) {
			t.Errorf("look %d: %v", i, err)
		}
	}
}
