package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// ErrAuth says that a host accepted none of the keys.
var ErrAuth = errors.New("the host accepted none of the keys")

// A keychain holds the keys to offer to one host, and what to say of them if none is accepted.
type keychain struct {
	signers []ssh.Signer
	tried   []string // every key that is offered, by where it came from
	skipped []string // and those that could not be, with the reason
	agent   net.Conn // closed after the handshake; the agent's signers need it
}

func (k *keychain) close() {
	if k.agent != nil {
		_ = k.agent.Close() // nothing was written that could be lost
	}
}

// loadKeychain collects keys in the order in which they should be offered, since a server allows few tries (sshd's
// MaxAuthTries is 6): the inventory's key, the agent's keys that the configuration names, the key files, and then the
// agent's other keys, unless IdentitiesOnly.
func loadKeychain(ctx context.Context, e *endpoint, keys *memo[ssh.Signer]) (*keychain, error) {
	k := &keychain{}
	held := k.agentSigners(ctx, e)
	offered := map[string]bool{}
	offer := func(s ssh.Signer, from string) {
		id := string(s.PublicKey().Marshal())
		if !offered[id] {
			offered[id] = true
			k.signers = append(k.signers, s)
			k.tried = append(k.tried, fmt.Sprintf("%s (%s, %s)", from, s.PublicKey().Type(), ssh.FingerprintSHA256(s.PublicKey())))
		}
	}
	for _, path := range e.identities {
		signer, from, err := identity(path, held, keys)
		switch {
		case err == nil:
			offer(signer, from)
		case errors.Is(err, fs.ErrNotExist) && path != e.explicit:
		case path == e.explicit:
			k.close()
			return nil, fmt.Errorf("%s: the identity file cannot be used: %w", e, err)
		default:
			k.skipped = append(k.skipped, err.Error())
		}
	}
	if !e.identitiesOnly {
		for _, s := range held {
			offer(s, "agent")
		}
	}
	if len(k.signers) == 0 {
		k.close()
		return nil, k.refused(e)
	}
	return k, nil
}

// agentSigners returns the agent's keys. An agent that cannot be reached is no error: there may be key files.
func (k *keychain) agentSigners(ctx context.Context, e *endpoint) []ssh.Signer {
	if e.agent == "" {
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", e.agent)
	if err != nil {
		k.skipped = append(k.skipped, fmt.Sprintf("the agent at %s does not answer: %v", e.agent, err))
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	signers, err := agent.NewClient(conn).Signers()
	stop()
	if err != nil {
		_ = conn.Close()
		k.skipped = append(k.skipped, fmt.Sprintf("the agent at %s does not list its keys: %v", e.agent, err))
		return nil
	}
	k.agent = conn
	return signers
}

// identity makes a signer of a private key file, or takes the agent's if the file needs a passphrase, is open to others or is only
// there as the public half. A certificate beside the file is used with it.
func identity(path string, held []ssh.Signer, keys *memo[ssh.Signer]) (ssh.Signer, string, error) {
	signer, err := keys.of([]string{path}, func() (ssh.Signer, error) { return readKey(path) })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTooOpen) {
		if pub := publicHalf(path); pub != nil {
			if s := find(held, pub); s != nil {
				return s, "agent, named by " + path, nil
			}
		}
	}
	if locked, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		pub := locked.PublicKey
		if pub == nil {
			pub = publicHalf(path)
		}
		if s := find(held, pub); s != nil {
			return withCertificate(path, s), "agent, named by " + path, nil
		}
		return nil, "", fmt.Errorf("the key %s is protected by a passphrase: run `ssh-add %s` first", path, path)
	}
	if err != nil {
		return nil, "", err
	}
	return withCertificate(path, signer), path, nil
}

func readKey(path string) (ssh.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	defer f.Close()
	if err := checkKeyFile(f); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("the key %s cannot be read: %w", path, err)
	}
	return signer, nil
}

// errTooOpen says that others may read a private key.
var errTooOpen = errors.New("it is required that private key files are not accessible by others")

// checkKeyFile is OpenSSH's rule (sshkey_perm_ok), in its words: a key of one's own is for nobody else. One of another owner's is
// left to that owner, as root's that a container is given.
func checkKeyFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the key %s: %w", f.Name(), err)
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if mode := info.Mode().Perm(); known && int(owner.Uid) == os.Getuid() && mode&0o077 != 0 {
		return fmt.Errorf("permissions %#o for %s are too open: %w, and ssh ignores it too: chmod 600 %s", mode, f.Name(), errTooOpen, f.Name())
	}
	return nil
}

func publicHalf(path string) ssh.PublicKey {
	data, err := os.ReadFile(strings.TrimSuffix(path, ".pub") + ".pub")
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return pub
}

func withCertificate(path string, s ssh.Signer) ssh.Signer {
	data, err := os.ReadFile(path + "-cert.pub")
	if err != nil {
		return s
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return s
	}
	if cert, ok := pub.(*ssh.Certificate); ok {
		if certified, err := ssh.NewCertSigner(cert, s); err == nil {
			return certified
		}
	}
	return s
}

func find(held []ssh.Signer, pub ssh.PublicKey) ssh.Signer {
	if pub == nil {
		return nil
	}
	i := slices.IndexFunc(held, func(s ssh.Signer) bool { return bytes.Equal(s.PublicKey().Marshal(), pub.Marshal()) })
	if i < 0 {
		return nil
	}
	return held[i]
}

// refused explains that no key was accepted, or that there is none.
func (k *keychain) refused(e *endpoint) error {
	tried := "there is no key to offer"
	if len(k.tried) > 0 {
		tried = "offered were " + strings.Join(k.tried, ", ")
	}
	if len(k.skipped) > 0 {
		tried += "; left out: " + strings.Join(k.skipped, "; ")
	}
	return fmt.Errorf("%s: %w: %s. Log in with `ssh -p %d %s@%s` to see what it takes; name the key as ssh.identityFile in the inventory, or add it to the agent",
		e, ErrAuth, tried, e.port, e.user, e.alias)
}
