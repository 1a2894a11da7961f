package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/printable"
)

// signedFor is the namespace of the signatures, so that none made for another purpose counts.
const signedFor = "upgrader.dev"

// verifyWithin is how long ssh-keygen may take: it reads two small files.
const verifyWithin = 10 * time.Second

// sign has ssh-keygen sign a text with a private key, or with the agent's if it is a public one that is named. ssh-keygen asks for a
// passphrase at the terminal itself.
func sign(ctx context.Context, key string, text []byte) (string, error) {
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-n", signedFor, "-f", key)
	cmd.Stdin = bytes.NewReader(text)
	out, err := keygen(cmd)
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w", key, err)
	}
	return out, nil
}

// verify says with which key a text was signed, if it was one of who's among the allowed signers: its fingerprint. An error says why
// the signature does not count.
func verify(signers, who string, text []byte, signature string) (fingerprint string, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), verifyWithin, fmt.Errorf("no answer within %s", verifyWithin))
	defer cancel()
	dir, err := os.MkdirTemp("", "upgrader-signature-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	allowed, given := filepath.Join(dir, "allowed_signers"), filepath.Join(dir, "signature")
	err = errors.Join(os.WriteFile(allowed, []byte(strings.TrimSuffix(signers, "\n")+"\n"), 0o600), os.WriteFile(given, []byte(signature), 0o600))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "verify", "-n", signedFor, "-f", allowed, "-I", who, "-s", given)
	cmd.Stdin = bytes.NewReader(text)
	out, err := keygen(cmd)
	if err != nil {
		return "", err
	}
	fingerprint = regexp.MustCompile(`SHA256:[A-Za-z0-9+/]+`).FindString(out)
	if fingerprint == "" {
		return "", fmt.Errorf("ssh-keygen says %q, which is not understood", strings.TrimSpace(out))
	}
	return fingerprint, nil
}

// keygen runs ssh-keygen and returns what it prints, or what it complains about as an error.
func keygen(cmd *exec.Cmd) (string, error) {
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("there is no ssh-keygen on this machine; it comes with OpenSSH, of version 8.2 or newer")
	}
	if err != nil {
		said := strings.Join(strings.Fields(out.String()+" "+errs.String()), " ")
		return "", fmt.Errorf("ssh-keygen: %s (%w)", printable.Text(said), err)
	}
	return out.String(), nil
}
