package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A block in the middle that reads as NULs is no torn tail: records after it were acknowledged, and cutting them off
// would have a resume repeat what they say was done.
func TestNULsBeforeAcknowledgedRecordsAreDamage(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		for _, k := range []Kind{Start, Intent, Outcome, Settled} {
			if err := j.Append(Record{Kind: k, Node: fmt.Sprintf("step@h%d", i), Ticket: "t"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, Name)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 512), 4096); err != nil {
		t.Fatal(err)
	}
	if _, records, err := reopen(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("opened with %d records of 160 (%v), want ErrDamaged", len(records), err)
	}
}

// Somebody who only asks whether the journal is in use must not keep its writer out.
func TestAskingWhetherItIsInUseKeepsNobodyOut(t *testing.T) {
	dir := t.TempDir()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				InUse(dir)
			}
		}
	}()
	defer func() { close(stop); <-ended }()
	for range 200 {
		j, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A crash may leave all of the last record but the block that holds its newline.
func TestARecordWithoutItsNewlineIsATornTail(t *testing.T) {
	for _, lost := range []int64{1, 2, 7} {
		dir := t.TempDir()
		j, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := j.Append(Record{Kind: Start, Node: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		size := j.size
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(make([]byte, lost), size-lost); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		j, records, err := reopen(dir)
		if err != nil || len(records) != 2 {
			t.Fatalf("%d bytes lost: %d records, %v", lost, len(records), err)
		}
		_ = j.Close()
	}
}
