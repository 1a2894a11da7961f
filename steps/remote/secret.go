package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/private"
)

// CheckSecret says whether a text is a reference to a secret. It reads nothing. The error does not repeat the text: where
// somebody has written the secret itself, that would be the way for it to get into a log.
func CheckSecret(ref string) error {
	switch how, what, _ := strings.Cut(ref, ":"); how {
	case "env", "file", "cmd":
		if what != "" {
			return nil
		}
	}
	return errors.New("this is no reference to a secret (it is not shown, since it may be one): write env:NAME, file:PATH or cmd:COMMAND")
}

// SecretAtHand says whether the secret of a reference can be read here and now. It runs no command: that one works is seen
// only when it is used.
func SecretAtHand(ctx context.Context, ref string) error {
	if strings.HasPrefix(ref, "cmd:") {
		return nil
	}
	value, err := resolveSecret(ctx, ref)
	clear(value)
	return err
}

// ReadSecret reads the secret that a reference names. Errors name the reference, never the value.
func ReadSecret(ctx context.Context, ref string) (string, error) {
	value, err := resolveSecret(ctx, ref)
	return string(value), err
}

// secretWithin is how long the command of a secret may take: a person may have to type, or to touch a key.
const secretWithin = 2 * time.Minute

// resolveSecret reads the secret that a reference names: env:NAME, file:PATH or cmd:COMMAND. The caller overwrites the
// bytes when done. Errors name the reference, never the value.
func resolveSecret(ctx context.Context, ref string) ([]byte, error) {
	how, what, _ := strings.Cut(ref, ":")
	switch how {
	case "env":
		v, ok := os.LookupEnv(what)
		if !ok || v == "" {
			return nil, fmt.Errorf("the secret %s is empty: set the environment variable %s", ref, what)
		}
		if len(v) > mostSecret {
			return nil, tooLarge(ref)
		}
		return []byte(v), nil
	case "file":
		return secretFile(ref, what)
	case "cmd":
		return secretOf(ctx, ref, what)
	}
	return nil, CheckSecret(ref)
}

// mostSecret is how large a secret may be. What it takes to find one in an output is hundreds of times as much.
const mostSecret = 64 << 10

func tooLarge(ref string) error {
	return fmt.Errorf("the secret %s has more than 64 KiB: put what is so large into a file on the host", ref)
}

// secretOf is what a command prints.
func secretOf(ctx context.Context, ref, command string) ([]byte, error) {
	within, cancel := context.WithTimeoutCause(ctx, secretWithin, fmt.Errorf("no answer within %s", secretWithin))
	defer cancel()
	var out little
	cmd := exec.CommandContext(within, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr // a password manager asks there
	cmd.WaitDelay = 100 * time.Millisecond   // what the shell has started may keep its output open
	err := cmd.Run()
	if cause := context.Cause(within); err != nil && cause != nil {
		err = cause
	}
	switch {
	case out.over:
		return nil, tooLarge(ref)
	case err != nil:
		return nil, fmt.Errorf("the command of the secret %s failed: %w", ref, err)
	}
	return trimNewline(ref, out.text)
}

// little takes in as much as a secret may have.
type little struct {
	text []byte
	over bool
}

// Write refuses what is more, which ends a program that would print without end.
func (l *little) Write(p []byte) (int, error) {
	if l.over = l.over || len(l.text)+len(p) > mostSecret+len("\r\n"); l.over {
		return 0, io.ErrShortBuffer
	}
	l.text = append(l.text, p...)
	return len(p), nil
}

func secretFile(ref, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the secret %s cannot be read: %w", ref, err)
	}
	if private.Shared(info) {
		return nil, fmt.Errorf("the secret %s can be read by others: chmod 600 %s", ref, filepath.Clean(path))
	}
	data, err := readFile(path, mostSecret+int64(len("\r\n")))
	if err != nil {
		return nil, fmt.Errorf("the secret %s cannot be read: %w", ref, err)
	}
	return trimNewline(ref, data)
}

func trimNewline(ref string, b []byte) ([]byte, error) {
	b = bytes.TrimRight(b, "\r\n")
	if len(b) > mostSecret {
		clear(b)
		return nil, tooLarge(ref)
	}
	if len(b) == 0 || bytes.ContainsAny(b, "\n\x00") {
		clear(b)
		return nil, fmt.Errorf("the secret %s is empty or has more than one line", ref)
	}
	return b, nil
}
