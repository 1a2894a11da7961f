//go:build linux

package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A console is the terminal of a host. systemd writes to nothing but a terminal; what it writes goes to console.log.
type console struct {
	terminal *os.File // open for as long as the host lives: systemd closes and opens it as it likes
	copied   chan struct{}
}

func openConsole(dir string) (*console, error) {
	log, err := os.OpenFile(filepath.Join(dir, consoleFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	master, terminal, err := openTerminal()
	if err != nil {
		_ = log.Close() // nothing was written
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	c := &console{terminal: terminal, copied: make(chan struct{})}
	go func() {
		defer close(c.copied)
		defer master.Close()
		defer log.Close()
		transcribe(log, master)
	}()
	return c, nil
}

// close ends the console when the host is gone. Not to wait would mix the end of this life with the next one; to wait
// for ever would let somebody who has the terminal open from outside hold up the next boot.
func (c *console) close() {
	_ = c.terminal.Close() // a terminal keeps nothing
	select {
	case <-c.copied:
	case <-time.After(time.Second):
	}
}

// transcribe copies lines as files have them. A master whose terminal nobody has open any more reads as an error.
func transcribe(log, master *os.File) {
	buffer := make([]byte, 4096)
	for {
		n, err := master.Read(buffer)
		if err != nil {
			return
		}
		_, _ = log.Write(bytes.ReplaceAll(buffer[:n], []byte("\r"), nil)) // a full disk must not stop the host
	}
}

// openTerminal makes a pseudo terminal, as pts(4) describes.
func openTerminal() (master, terminal *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		var number uint32
		if number, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN); err == nil {
			terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
		}
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	return master, terminal, nil
}
