package remote

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// Why a host was not trusted. Nothing has been sent to it then; no option overrides this.
var (
	ErrUnknownHostKey = errors.New("the host key is not known")
	ErrChangedHostKey = errors.New("the host key is not the known one")
	ErrRevokedHostKey = errors.New("the host key is revoked")
)

// A keyring verifies the key of one host against its known_hosts files.
type keyring struct {
	e  *endpoint
	db *knownhosts.HostKeyDB // nil: there is no file
}

// loadKeyring reads the known_hosts files that exist.
func loadKeyring(e *endpoint, known *memo[*knownhosts.HostKeyDB], warn func(string)) (*keyring, error) {
	db, err := known.of(e.knownHosts, func() (*knownhosts.HostKeyDB, error) { return readKnownHosts(e.knownHosts, warn) })
	if err != nil {
		return nil, fmt.Errorf("%s: reading known hosts: %w", e.host, err)
	}
	return &keyring{e: e, db: db}, nil
}

// readKnownHosts returns nil if there is no file. A line that cannot be read is skipped with a warning, as OpenSSH does: one
// odd line about another host must not stop a run.
func readKnownHosts(paths []string, warn func(string)) (*knownhosts.HostKeyDB, error) {
	var files []string
	for _, f := range paths {
		data, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if bad := badLines(data); len(bad) > 0 {
			warn(fmt.Sprintf("%s: lines %v are left out, they cannot be read", f, bad))
			clean, err := withoutLines(data, bad)
			if err != nil {
				return nil, err
			}
			defer func() { _ = os.RemoveAll(filepath.Dir(clean)) }()
			f = clean
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, nil
	}
	return knownhosts.NewDB(files...)
}

// badLines returns the numbers of the lines that are no known_hosts entry.
func badLines(data []byte) []int {
	var bad []int
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if _, _, _, _, _, err := ssh.ParseKnownHosts(append(slices.Clone(line), '\n')); err != nil {
			bad = append(bad, n)
		}
	}
	return bad
}

// withoutLines writes data without these lines to a file of its own directory, line numbers kept.
func withoutLines(data []byte, bad []int) (string, error) {
	dir, err := os.MkdirTemp("", "known_hosts")
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	n := 0
	for line := range bytes.Lines(data) {
		if n++; len(bad) > 0 && bad[0] == n {
			bad = bad[1:]
			line = []byte("#\n")
		}
		out.Write(line)
	}
	path := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	return path, nil
}

// algorithms returns the host key algorithms to ask for: those of the keys that are known, so that a host with several
// keys shows the one that can be verified. None of them signs with SHA-1.
func (k *keyring) algorithms() []string {
	if k.db == nil {
		return nil
	}
	return slices.DeleteFunc(k.db.HostKeyAlgorithms(k.e.keyName()), func(a string) bool {
		return a == "" || a == ssh.KeyAlgoRSA || a == ssh.CertAlgoRSAv01 || a == ssh.InsecureKeyAlgoDSA || a == ssh.InsecureCertAlgoDSAv01 //nolint:staticcheck // named to be refused
	})
}

// check is the ssh.HostKeyCallback.
func (k *keyring) check(_ string, addr net.Addr, key ssh.PublicKey) error {
	if k.db == nil {
		return k.unknown(key)
	}
	if _, ok := addr.(*net.TCPAddr); !ok {
		addr = &net.TCPAddr{IP: net.IPv4zero} // a pipe or a forwarded channel; only the name counts
	}
	err := k.db.HostKeyCallback()(k.e.keyName(), addr, key)
	if err == nil {
		return nil
	}
	if revoked, ok := errors.AsType[*xknownhosts.RevokedError](err); ok {
		return fmt.Errorf("%s: %w (%s %s, by %s:%d): do not connect to it; it needs a new host key",
			k.e, ErrRevokedHostKey, key.Type(), ssh.FingerprintSHA256(key), revoked.Revoked.Filename, revoked.Revoked.Line)
	}
	if known, ok := errors.AsType[*xknownhosts.KeyError](err); ok && len(known.Want) > 0 {
		return k.changed(key, known.Want)
	} else if ok {
		return k.unknown(key)
	}
	return fmt.Errorf("%s: %w: %w", k.e, ErrUnknownHostKey, err)
}

func (k *keyring) unknown(key ssh.PublicKey) error {
	return fmt.Errorf("%s: %w: it shows %s %s. Compare that with `ssh-keygen -lf /etc/ssh/%s` on the host itself; if it is the same, run `%s` once and answer yes",
		k.e, ErrUnknownHostKey, key.Type(), ssh.FingerprintSHA256(key), keyFile(key.Type()), k.connectCommand())
}

func (k *keyring) changed(key ssh.PublicKey, want []xknownhosts.KnownKey) error {
	where := make([]string, 0, len(want))
	for _, w := range want {
		where = append(where, fmt.Sprintf("%s:%d %s %s", w.Filename, w.Line, w.Key.Type(), ssh.FingerprintSHA256(w.Key)))
	}
	return fmt.Errorf("%s: %w: it shows %s %s, known is %s. Either the host was installed anew or somebody is in between: compare with `ssh-keygen -lf /etc/ssh/%s` on the host itself, and only if it is the same, run `ssh-keygen -R '%s'` and then `%s`",
		k.e, ErrChangedHostKey, key.Type(), ssh.FingerprintSHA256(key), strings.Join(where, ", "), keyFile(key.Type()),
		knownhosts.Normalize(k.e.keyName()), k.connectCommand())
}

// noCommonKey explains a host that has no key of the known types.
func (k *keyring) noCommonKey(offered []string) error {
	return fmt.Errorf("%s: %w: it has only keys of the types %s, known are %s. Compare `ssh-keygen -lf` of a key on the host itself with what `%s` shows, and accept it there",
		k.e, ErrChangedHostKey, strings.Join(offered, ", "), strings.Join(k.algorithms(), ", "), k.connectCommand())
}

// connectCommand is what a person types to see the key and to accept it.
func (k *keyring) connectCommand() string {
	s := "ssh"
	if k.e.port != 22 {
		s += fmt.Sprintf(" -p %d", k.e.port)
	}
	if k.e.proxyJump != "" {
		s += " -J " + k.e.proxyJump
	}
	if len(k.e.knownHosts) > 0 {
		s += " -o UserKnownHostsFile=" + k.e.knownHosts[0]
	}
	return s + " " + k.e.user + "@" + cmp.Or(k.e.alias, k.e.address) + " true"
}

func keyFile(keyType string) string {
	switch {
	case strings.Contains(keyType, "ed25519"):
		return "ssh_host_ed25519_key.pub"
	case strings.Contains(keyType, "ecdsa"):
		return "ssh_host_ecdsa_key.pub"
	}
	return "ssh_host_rsa_key.pub"
}
