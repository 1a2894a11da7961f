//go:build linux

package journal

import (
	"syscall"
	"testing"
)

// On a full disk nothing new is started, and what is under way can still be recorded.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	intents := 0
	for ; intents < 10000; intents++ {
		if err = j.Append(Record{Kind: Intent, Say: string(make([]byte, 200))}); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("10000 intents fit on a disk of 512 KiB")
	}
	for i := range 20 {
		if err := j.Append(Record{Kind: Outcome, State: "ok"}); err != nil {
			t.Fatalf("outcome %d after %d intents: %v", i, intents, err)
		}
	}
	if err := j.Append(Record{Kind: Intent}); err == nil {
		t.Error("an intent was accepted after one had been refused")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := read(dir)
	if err != nil || len(got) != intents+20 {
		t.Errorf("%d records, %v; want %d", len(got), err, intents+20)
	}
}
