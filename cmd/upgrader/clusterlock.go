package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"upgrader.dev/upgrader/engine/private"
	"upgrader.dev/upgrader/steps/kube"
)

// A clusterLock keeps other processes of this machine, with the same state directory, off a cluster: flock(2) on a file
// that is never replaced or removed.
type clusterLock struct{ file *os.File }

// lockCluster takes it, or says who has it.
func (s store) lockCluster(id clusterID, run string) (*clusterLock, error) {
	path := s.lockPath(id)
	if err := private.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	f, err := private.OpenFile(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("opening the cluster's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		who, _ := private.ReadFile(path)
		_ = f.Close()
		return nil, &lockedError{fmt.Errorf("cluster %s is being worked on by %s on this machine: wait for it, or follow it with `upgrader status -w`",
			id, cmp.Or(strings.TrimSpace(string(who)), "another upgrader"))}
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "run %s, process %d\n", run, os.Getpid()) // for people only
	}
	return &clusterLock{f}, nil
}

func (s store) lockPath(id clusterID) string {
	return filepath.Join(s.dir, "clusters", safeName(id.UID)+".lock")
}

func (l *clusterLock) release() { _ = l.file.Close() }

// name tells this very file from every other one on earth, a copy of it too; empty where that cannot be told.
func (l *clusterLock) name() string {
	info, err := l.file.Stat()
	if err != nil {
		return ""
	}
	return fileName(info)
}

// fileName is boot/device/inode. A device's number is good until the machine is restarted, and an inode's as long as
// somebody has the file open, as the process has that holds it.
func fileName(info os.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	boot := bootID()
	if !ok || boot == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d/%d", boot, stat.Dev, stat.Ino)
}

// provesGone says whether the process that has the cluster's lock is known to be gone: it was of this state directory, and
// what it held is free. The lock, if it is not nil, is to be released.
func (s store) provesGone(id clusterID, h kube.Holder) (*clusterLock, bool) {
	if s.dir == "" {
		return nil, false
	}
	info, err := os.Stat(s.lockPath(id))
	if err != nil || h.LockFile == "" || fileName(info) != h.LockFile {
		return nil, false
	}
	held, err := s.lockCluster(id, h.Run+" (unlock)")
	if err != nil {
		return nil, false
	}
	return held, held.name() == h.LockFile
}
