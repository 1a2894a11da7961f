//go:build linux

package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// errSilent says that no supervisor answered.
var errSilent = errors.New("no supervisor answers")

// errHeld says that the host has a supervisor already.
var errHeld = errors.New("another supervisor holds the lock")

// A request is one word, and its answer one line: "ok", "ok WORD" or "error TEXT".
type request struct {
	word   string
	answer chan<- string
}

// ask sends one word to the supervisor and returns its answer.
func (h *Host) ask(ctx context.Context, word string) (string, error) {
	path, done, err := shortPath(h.Dir)
	if err != nil {
		return "", errSilent
	}
	defer done()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return "", errors.Join(errSilent, context.Cause(ctx))
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	line := ""
	if _, err = fmt.Fprintln(conn, word); err == nil {
		line, err = bufio.NewReader(conn).ReadString('\n')
	}
	if cause := context.Cause(ctx); cause != nil {
		return "", cause
	}
	if err != nil {
		return "", errSilent
	}
	verdict, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if verdict != "ok" {
		return "", errors.New(rest)
	}
	return rest, nil
}

// listen takes requests until the function that it returns is called.
func listen(dir string, requests chan<- request) (func(), error) {
	path, done, err := shortPath(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // path is valid for this function only
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, requests)
		}
	}()
	return func() { _ = l.Close() }, nil
}

func serve(conn io.ReadWriteCloser, requests chan<- request) {
	defer conn.Close()
	word, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	answer := make(chan string, 1)
	requests <- request{word: strings.TrimSpace(word), answer: answer}
	fmt.Fprintln(conn, <-answer)
}

// shortPath names the socket in dir by a descriptor: an address of a socket has room for 107 bytes.
func shortPath(dir string) (string, func(), error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), controlFile), func() { _ = d.Close() }, nil
}

// tryLock takes the lock of the host in dir; it lasts until the file is closed, or its process ends.
func tryLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errHeld
	}
	return nil, err
}

func waitForLock(ctx context.Context, dir string) (*os.File, error) {
	for {
		f, err := tryLock(dir)
		if !errors.Is(err, errHeld) {
			return f, err
		}
		if err := Pause(ctx, glance); err != nil {
			return nil, err
		}
	}
}

// Pause waits, but no longer than ctx allows, whose end it reports.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
