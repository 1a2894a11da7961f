package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Name is the journal's file in a run's directory.
const Name = "journal.jsonl"

// ErrLocked says that another process is writing this journal.
var ErrLocked = errors.New("journal is in use by another process")

// ErrDamaged says that a journal holds something that no crash of its writer can have left. The text of the error that
// wraps it names the record. Nothing is repaired: a person has to look.
var ErrDamaged = errors.New("journal is damaged")

// ErrFull says that the disk has no room for anything new. What is under way can still be recorded.
var ErrFull = errors.New("no room for another record, so nothing new is started")

// A File is the open journal of one run. It is safe for concurrent use. One process holds it at a time.
type File struct {
	mu   sync.Mutex
	f    *os.File
	size int64
	seq  int64
	sum  sum
	err  error // the first failed write: nothing is appended after it
}

// Open takes the journal in dir, creating it if there is none, and returns what it holds. A torn last record, as a
// crash leaves it, is cut off; it was never acknowledged. Any other damage is an ErrDamaged, and the file is left alone.
func Open(dir string) (*File, []Record, error) {
	path := filepath.Join(dir, Name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the journal: %w", err)
	}
	j := &File{f: f}
	records, err := j.load(path)
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return j, records, nil
}

func (j *File) load(path string) ([]Record, error) {
	if err := lockSoon(j.f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	records, end, s, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if end < len(data) {
		if err := j.f.Truncate(int64(end)); err != nil {
			return nil, fmt.Errorf("cutting the torn record off %s: %w", path, err)
		}
	}
	if err := errors.Join(j.f.Sync(), syncDir(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("syncing %s: %w", path, err)
	}
	j.size, j.sum, j.seq = int64(end), s, int64(len(records))
	return records, nil
}

// Read returns what the journal in dir holds, without taking it: its writer may be at work. A torn last record is left
// out.
func Read(dir string) ([]Record, error) {
	path := filepath.Join(dir, Name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	records, _, _, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records, nil
}

// InUse says whether a process holds the journal in dir.
func InUse(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(lock(f), ErrLocked)
}

// lockSoon is lock, but does not take somebody who only asks (InUse) for a writer: asking is over in no time.
func lockSoon(f *os.File) error {
	err := lock(f)
	for tries := 0; tries < 20 && errors.Is(err, ErrLocked); tries++ {
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // flock(2) tells nobody when it is free; 0.2 s in all
		err = lock(f)
	}
	return err
}

func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// Append writes the records with one fsync and returns when they are durable, having filled in Seq and, where it is
// zero, Time. After a failed write nothing is appended any more: what a failed fsync left on the disk cannot be known
// without reading it anew. The disk keeps a reserve, so that outcomes still fit when intents no longer do.
func (j *File) Append(records ...Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	if err := reserve(j.f, j.size); err != nil && startsSomething(records) {
		return fmt.Errorf("journal %s: %w: %w", j.f.Name(), ErrFull, err)
	}
	var buf bytes.Buffer
	seq, s := j.seq, j.sum
	for i := range records {
		seq++
		records[i].Seq = seq
		if records[i].Time.IsZero() {
			records[i].Time = time.Now()
		}
		line, next, err := encode(records[i], s)
		if err != nil {
			return err
		}
		buf.Write(line)
		s = next
	}
	if err := j.write(buf.Bytes()); err != nil {
		j.err = fmt.Errorf("writing the journal: %w", err)
		return j.err
	}
	j.seq, j.sum, j.size = seq, s, j.size+int64(buf.Len())
	return nil
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
		if r.Kind == Intent || r.Kind == Begin || r.Kind == Start {
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

// A sum is the chained checksum: of the record before, and this one's bytes.
type sum [sha256.Size]byte

// A line ends with the first eight bytes of its sum, in hex; that is enough against accidents, which is all it is for.
const (
	sumKey    = `,"sum":"`
	sumDigits = 16
	suffix    = len(sumKey) + sumDigits + len("\"}")
)

func chain(before sum, body []byte) sum {
	h := sha256.New()
	h.Write(before[:])
	h.Write(body)
	return sum(h.Sum(nil))
}

func encode(r Record, before sum) ([]byte, sum, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, before, fmt.Errorf("encoding record %d: %w", r.Seq, err)
	}
	body = body[:len(body)-1] // the closing brace comes after the sum
	s := chain(before, body)
	line := append(body, sumKey...)
	line = hex.AppendEncode(line, s[:sumDigits/2])
	return append(line, "\"}\n"...), s, nil
}
