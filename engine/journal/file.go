package journal

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine/private"
)

// Name is the journal's file in a run's directory.
const Name = "journal.jsonl"

// ErrLocked says that another process is writing this journal.
var ErrLocked = errors.New("journal is in use by another process")

// ErrDamaged says that a journal holds something that no crash of its writer can have left. The text of the error that
// wraps it names the record. Nothing is repaired: a person has to look.
var ErrDamaged = errors.New("journal is damaged")

// ErrNewer says that a newer program wrote to this journal, in a format that this one does not know.
var ErrNewer = errors.New("was written by a newer upgrader")

// ErrFull says that the disk has no room for anything new. What is under way can still be recorded.
var ErrFull = errors.New("no room for another record, so nothing new is started")

// A File is the open journal of one run. It is safe for concurrent use. One process holds it at a time.
type File struct {
	mu       sync.Mutex
	f        *os.File
	read     bool // what it holds is known: what follows is that
	size     int64
	reserved int64 // up to where the disk has room for it
	seq      int64
	chain    chain
	last     lastLine // of what was scanned
	buf      []byte
	err      error // the first failed write: nothing is appended after it
}

// Open takes the journal in dir for this process, creating it if there is none. What it holds, Scan tells.
func Open(dir string) (*File, error) {
	path := filepath.Join(dir, Name)
	f, err := private.OpenFile(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if err := lockSoon(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &File{f: f}, nil
}

// Scan calls each with every record that the journal holds, as the function Scan does, and nobody can write it meanwhile: each
// must not append. The first time, a torn last record, as a crash leaves it, is cut off; it was never acknowledged. Any other
// damage is an ErrDamaged, and the file is left alone, as it is after an error of each.
func (j *File) Scan(each func(*Record) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.scan(each)
}

func (j *File) scan(each func(*Record) error) error {
	if j.err != nil {
		return j.err
	}
	end := int64(math.MaxInt64)
	if j.read {
		end = j.size
	}
	found, err := scan(io.NewSectionReader(j.f, 0, end), j.f.Name(), extent{}, each)
	switch {
	case err != nil:
		return err
	case !j.read:
		return j.goOn(found)
	case found.size != j.size:
		return fmt.Errorf("%s: %w: all was whole up to byte %d and now is only up to byte %d, while this process held it", j.f.Name(), ErrDamaged, j.size, found.size)
	}
	return nil
}

// goOn makes what was found whole durable, and the next append follow it.
func (j *File) goOn(found extent) error {
	info, err := j.f.Stat()
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	if found.size < info.Size() {
		if err := j.f.Truncate(found.size); err != nil {
			return fmt.Errorf("cutting the torn record off %s: %w", j.f.Name(), err)
		}
	}
	if err := errors.Join(j.f.Sync(), syncDir(filepath.Dir(j.f.Name()))); err != nil {
		return fmt.Errorf("syncing %s: %w", j.f.Name(), err)
	}
	j.size, j.seq, j.chain.sum, j.last, j.read = found.size, found.records, found.chain.sum, found.last, true
	return nil
}

// Append writes the records with one fsync and returns when they are durable, having filled in Seq, From, the Format of a
// Begin and, where it is zero, Time. After a failed write nothing is appended any more: what a failed fsync left on the
// disk cannot be known without reading it anew. The disk keeps a reserve, so that outcomes still fit when intents no longer do.
// A journal that nobody has scanned is, before anything is appended to it.
func (j *File) Append(records ...Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(); err != nil {
		return err
	}
	reserved, err := reserve(j.f, j.size, j.reserved)
	if err != nil && startsSomething(records) {
		return fmt.Errorf("journal %s: %w: %w", j.f.Name(), ErrFull, err)
	}
	j.reserved = reserved
	data, err := j.encode(records)
	if err != nil {
		return err
	}
	if err := j.write(data); err != nil {
		j.err = fmt.Errorf("writing the journal: %w", err)
		return j.err
	}
	j.seq, j.size = j.seq+int64(len(records)), j.size+int64(len(data))
	return nil
}

// ready finds out what an append has to follow.
func (j *File) ready() error {
	if j.err != nil || j.read {
		return j.err
	}
	return j.scan(func(*Record) error { return nil })
}

// encode makes the lines of the next records. They go on from the chain only if all of them could be made.
func (j *File) encode(records []Record) ([]byte, error) {
	before, now := j.chain.sum, time.Now()
	j.buf = j.buf[:0]
	for i := range records {
		r := &records[i]
		j.number(r, i, now)
		var err error
		if j.buf, err = j.chain.appendLine(j.buf, r); err != nil {
			j.chain.sum = before
			return nil, err
		}
	}
	return j.buf, nil
}

// number fills in what the journal knows of the i-th record of an append.
func (j *File) number(r *Record, i int, now time.Time) {
	r.Seq, r.From = j.seq+int64(i)+1, 0
	if i > 0 {
		r.From = j.seq + 1
	}
	if r.Kind == Begin {
		r.Format = Format
	}
	if r.Time.IsZero() {
		r.Time = now
	}
}

// write is all or nothing as far as a process that lives on can tell: a short write is taken back.
func (j *File) write(data []byte) error {
	if _, err := j.f.WriteAt(data, j.size); err != nil {
		return errors.Join(err, j.f.Truncate(j.size))
	}
	return j.f.Sync()
}

func startsSomething(records []Record) bool {
	for _, r := range records {
		if r.Kind == Intent || r.Kind == Begin || r.Kind == Start || r.Kind == Machine {
			return true
		}
	}
	return false
}

// Close gives the journal back.
func (j *File) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = os.ErrClosed
	}
	return j.f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
