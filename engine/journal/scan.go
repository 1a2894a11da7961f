package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"upgrader.dev/upgrader/engine/private"
)

// Scan calls each with every record of the journal in dir, in order, without taking the journal: its writer may be at work.
// A torn last record is left out. The checksum of a record is right when each sees it, but damage may still come after
// it, so what was folded counts only if Scan returns nil. The record is each's until it returns: what outlives that is
// copied (*r is enough). An error of each ends the scan and is returned as it is.
func Scan(dir string, each func(*Record) error) error { return NewFollower(dir).Scan(each) }

// A Follower scans a journal again and again, and each time only what has come since.
type Follower struct {
	path  string
	found extent
}

// NewFollower is one of the journal in dir that has read nothing.
func NewFollower(dir string) *Follower { return &Follower{path: filepath.Join(dir, Name)} }

// Scan does what the function Scan does, with the records that come after those that were scanned before. After an error it is
// not to be called again, but for one that says that there is no journal yet.
func (o *Follower) Scan(each func(*Record) error) error {
	f, err := private.Open(o.path)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	o.found, err = scan(io.NewSectionReader(f, o.found.size, math.MaxInt64-o.found.size), o.path, o.found, each)
	return err
}

// An extent is what was found whole: how many records, of how many bytes, the chain behind them, the last of them, and the format of the process
// that wrote the last of them.
type extent struct {
	records int64
	size    int64
	chain   chain
	last    lastLine
	format  int
}

// scan reads f, which is the file at path from behind what was found whole before. Whether the checksums are right is found out by
// a goroutine of its own, ahead of the decoding: each takes about as long as the other.
func scan(f io.Reader, path string, from extent, each func(*Record) error) (extent, error) {
	v := startVerifier(f, from)
	defer v.stop()
	d := replayer{path: path, decoder: newDecoder(), each: each, records: from.records, size: from.size, format: from.format}
	for lines := range v.verified {
		if err := d.replay(lines); err != nil {
			return extent{}, d.tell(err)
		}
		v.free <- lines
	}
	if v.err != nil {
		return extent{}, fmt.Errorf("reading the journal: %w", v.err)
	}
	if err := d.judge(v.left()); err != nil {
		return extent{}, d.tell(err)
	}
	return extent{records: d.records, size: d.size, chain: v.chain, last: v.last, format: d.format}, nil
}

// A replayer decodes verified lines and shows the records.
type replayer struct {
	path    string
	decoder decoder
	each    func(*Record) error
	record  Record
	records int64 // shown so far
	size    int64 // their lines' bytes
	format  int   // of the last process that began
}

func (d *replayer) replay(lines []byte) error {
	for len(lines) > 0 {
		n := bytes.IndexByte(lines, '\n')
		if err := d.decode(lines[:n]); err != nil {
			return err
		}
		if err := d.each(&d.record); err != nil {
			return err
		}
		lines = lines[n+1:]
		d.records++
		d.size += int64(n) + 1
	}
	return nil
}

func (d *replayer) decode(line []byte) error {
	body, _, _ := cutSum(line)
	if err := d.decoder.decode(body, &d.record); err != nil {
		return damage{fmt.Errorf("its checksum is right, but: %w", err)}
	}
	if d.record.Seq != d.records+1 {
		return damage{fmt.Errorf("its checksum is right, but it says that it is record %d", d.record.Seq)}
	}
	if d.record.Kind != Begin {
		return nil
	}
	if d.format = d.record.Format; d.format > Format {
		return fmt.Errorf("%s %w (format %d; this one reads up to %d): go on with that one", d.path, ErrNewer, d.format, Format)
	}
	return nil
}

// judge says what is wrong with what follows the last verified line: nothing, if it is torn.
func (d *replayer) judge(rest io.Reader) error {
	torn, err := tail{at: d.size, seq: d.records + 1, format: d.format}.torn(rest)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	if !torn {
		return damage{errors.New("its checksum is wrong and it is not a write cut short")}
	}
	return nil
}

// Damage is an error that is to be told with the place it was found at.
type damage struct{ error }

func (d *replayer) tell(err error) error {
	var at damage
	if errors.As(err, &at) {
		return fmt.Errorf("%s: %w at record %d (byte %d): %w", d.path, ErrDamaged, d.records+1, d.size, at.error)
	}
	return err
}
