package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// history is a journal as it lies on the disk, and what was appended last.
type history struct {
	data []byte
	acks []int // where each append ends, from 0 on
	ends []int // where each record ends
}

// written makes the journal of these appends.
func written(t *testing.T, appends [][]Record) history {
	t.Helper()
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := history{acks: []int{0}}
	for _, records := range appends {
		for i := range records {
			records[i].Time = time.Unix(1767225600, 123456789).UTC() // of one length always
		}
		if err := j.Append(records...); err != nil {
			t.Fatal(err)
		}
		h.acks = append(h.acks, int(j.size))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if h.data, err = os.ReadFile(filepath.Join(dir, Name)); err != nil {
		t.Fatal(err)
	}
	for i, c := range h.data {
		if c == '\n' {
			h.ends = append(h.ends, i+1)
		}
	}
	return h
}

// last is where the last append begins.
func (h history) last() int { return h.acks[len(h.acks)-2] }

// whole counts the records that lie before byte at.
func (h history) whole(at int) (n int) {
	for n < len(h.ends) && h.ends[n] <= at {
		n++
	}
	return n
}

// survives checks that a journal that a crash left is read up to the first byte that differs from what was written.
func (h history) survives(t *testing.T, left []byte, crash string, args ...any) {
	t.Helper()
	same := 0
	for same < len(left) && left[same] == h.data[same] {
		same++
	}
	if got, err := records(t, left); err != nil || len(got) != h.whole(same) {
		t.Fatalf(crash+": %d records, %v; want the %d that are whole", append(args, len(got), err, h.whole(same))...)
	}
}

func say(n int) string { return strings.Repeat("x", n) }

// several appends of one and of more records, the last of four that begin at every place in a block that matters.
func several(t *testing.T, block int, each func(h history)) {
	t.Helper()
	before := func(why string) [][]Record {
		return [][]Record{{{Kind: Begin}}, {{Kind: Intent}, {Kind: Intent}}, {{Kind: Wait, Why: why}}}
	}
	least := len(written(t, before("x")).data)
	for _, offset := range []int{0, 1, 2, 7, 9, block / 2, block - 20, block - 2, block - 1} {
		pad := 1 + (offset-least%block+block)%block
		h := written(t, append(before(say(pad)),
			[]Record{{Kind: Intent, Say: say(block)}, {Kind: Outcome, Why: say(7)}, {Kind: Settled, Why: say(block + 3)}, {Kind: Intent}}))
		if h.last()%block != offset {
			t.Fatalf("the last append begins at %d, not at %d of a block", h.last(), offset)
		}
		each(h)
	}
}

func TestEveryTruncationOfEveryAppendIsTorn(t *testing.T) {
	h := written(t, [][]Record{{{Kind: Begin}}, {{Kind: Intent}, {Kind: Intent}}, {{Kind: Outcome, Why: say(300)}, {Kind: Settled}, {Kind: Start}}, {{Kind: End}}})
	for cut := range h.data {
		h.survives(t, h.data[:cut], "cut at byte %d of %d", cut, len(h.data))
		nuls := append(bytes.Clone(h.data[:cut]), make([]byte, min(1+cut%9, len(h.data)-cut))...)
		h.survives(t, nuls, "cut at byte %d of %d with %d NULs after", cut, len(h.data), len(nuls)-cut)
	}
}

// A crash in the middle of an append may leave any of its blocks written and any not, in a file of any length.
func TestEverySubsetOfTheLastAppendsBlocksIsTorn(t *testing.T) {
	for _, block := range []int{512, 4096} {
		several(t, block, func(h history) {
			first, last := h.last()/block, (len(h.data)-1)/block
			for lost := range 1 << (last - first + 1) {
				left := bytes.Clone(h.data)
				for b := first; b <= last; b++ {
					if lost&(1<<(b-first)) != 0 {
						clear(left[max(b*block, h.last()):min((b+1)*block, len(left))])
					}
				}
				h.survives(t, left, "append at %d, lost the blocks %b of %d", h.last(), lost, block)
				for b := first + 1; b <= last; b++ {
					h.survives(t, left[:b*block], "append at %d, lost the blocks %b of %d, cut at %d", h.last(), lost, block, b*block)
				}
			}
		})
	}
}

// An append that was followed by another was acknowledged: what is missing of it was lost later.
func TestBlocksLostOfAnEarlierAppendAreDamage(t *testing.T) {
	const block = 512
	several(t, block, func(h history) {
		for b := range h.last() / block {
			left := bytes.Clone(h.data)
			clear(left[b*block : (b+1)*block])
			got, err := records(t, left)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "record ") {
				t.Fatalf("append at %d, block %d lost: %d records, %v; want ErrDamaged", h.last(), b, len(got), err)
			}
		}
	})
}

// A bit that flips is damage wherever it is, also where the last append was cut short after it.
func TestABitFlipBeforeATornAppendIsDamage(t *testing.T) {
	h := written(t, [][]Record{{{Kind: Begin}}, {{Kind: Intent, Say: "a @ b"}, {Kind: Intent}}, {{Kind: Outcome}}, {{Kind: Intent, Say: say(1024)}, {Kind: Intent}}})
	for i := range h.last() {
		for bit := range 8 {
			left := bytes.Clone(h.data)
			left[i] ^= 1 << bit
			for name, torn := range map[string][]byte{
				"cut short":             left[:h.last()+40],
				"its last block lost":   append(bytes.Clone(left[:1024]), make([]byte, len(left)-1024)...),
				"its middle block lost": append(append(bytes.Clone(left[:512]), make([]byte, 512)...), left[1024:]...),
			} {
				if name == "its middle block lost" && h.last() > 512 {
					t.Fatal("the block is not the last append's")
				}
				if got, err := records(t, torn); !errors.Is(err, ErrDamaged) {
					t.Fatalf("bit %d of byte %d (%q) flipped, the last append %s: %d records, %v; want ErrDamaged", bit, i, h.data[i], name, len(got), err)
				}
			}
		}
	}
}
