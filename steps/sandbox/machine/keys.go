package machine

import (
	"crypto/sha512"
	"encoding/base64"
	"strings"
)

// The key that signs the package lists of Kubernetes. A file holds it when it holds keyMark, armoured or not; a line
// "expired" in the file makes it one whose time is over.
const (
	keyMark  = "pretend signing key of Kubernetes packages"
	keyID    = "234654DA9A296436"
	keyOwner = "isv:kubernetes OBS Project <isv:kubernetes@build.opensuse.org>"

	armourHead = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	armourEnd  = "-----END PGP PUBLIC KEY BLOCK-----"
)

// The verdicts of gpgv that the pretend one knows, in the words of its status lines (doc/DETAILS of GnuPG).
const (
	goodSignature = "GOODSIG"
	badSignature  = "BADSIG"
	expiredKey    = "EXPKEYSIG"
	noKey         = "NO_PUBKEY"
)

// armoured is a key as it is served and mailed.
func armoured(key string) string {
	return armourHead + "\n\n" + base64.StdEncoding.EncodeToString([]byte(key+"\n")) + "\n=k8s0\n" + armourEnd + "\n"
}

// plainKey takes the armour off a key, where there is one.
func plainKey(ring string) string {
	_, rest, found := strings.Cut(ring, armourHead)
	if !found {
		return ring
	}
	body, after, _ := strings.Cut(rest, armourEnd)
	var encoded strings.Builder
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "=") {
			encoded.WriteString(line)
		}
	}
	plain, err := base64.StdEncoding.DecodeString(encoded.String())
	if err != nil {
		return ""
	}
	return string(plain) + after
}

// judge is the verdict on a signed text by the keys of a ring.
func judge(ring []byte, signed string) string {
	key := plainKey(string(ring))
	body, rest, _ := strings.Cut(signed, "-----BEGIN PGP SIGNATURE-----\n\n")
	signature, _, _ := strings.Cut(rest, "\n")
	switch {
	case !strings.Contains(key, keyMark):
		return noKey
	case signature != signatureOf(body):
		return badSignature
	case strings.Contains(key, "\nexpired"):
		return expiredKey
	}
	return goodSignature
}

func signatureOf(body string) string {
	sum := sha512.Sum512([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])[:64]
}

// gpgv verifies signed texts and says so in the lines for programs.
func gpgv(c *call) int {
	fl, files, ok := c.flags("qv", "quiet verbose", "", "status-fd keyring homedir", false)
	if !ok || len(files) != 1 {
		return c.unknown(strings.Join(c.args, " "))
	}
	signed, err := c.slurp(files[0])
	if err != nil {
		c.eprintf("gpgv: can't open '%s': %s\n", files[0], reason(err))
		return 2
	}
	ring, err := c.m.tree.read(c.p.user, c.path(value(fl, "", "keyring")))
	if err != nil {
		c.eprintf("gpgv: keyblock resource '%s': %s\n", value(fl, "", "keyring"), reason(err))
	}
	if value(fl, "", "status-fd") != "1" {
		return c.unknown("gpgv without --status-fd 1")
	}
	verdict := judge(ring, string(signed))
	c.printf("[GNUPG:] NEWSIG\n")
	switch verdict {
	case noKey:
		c.printf("[GNUPG:] ERRSIG %s 1 10 01 1695284943 9 -\n[GNUPG:] NO_PUBKEY %[1]s\n", keyID)
		c.eprintf("gpgv: Can't check signature: No public key\n")
		return 2
	case expiredKey:
		c.printf("[GNUPG:] KEYEXPIRED 1735689600\n")
	}
	c.printf("[GNUPG:] %s %s %s\n", verdict, keyID, keyOwner)
	if verdict == badSignature {
		c.eprintf("gpgv: BAD signature from %q\n", keyOwner)
		return 1
	}
	c.eprintf("gpgv: Good signature from %q\n", keyOwner)
	return 0
}

// gpg takes the armour off a key.
func gpg(c *call) int {
	fl, names, ok := c.flags("q", "dearmor batch yes no-tty quiet", "o", "output", false)
	if !ok {
		return 2
	}
	if !has(fl, "dearmor") {
		return c.unknown(strings.Join(c.args, " "))
	}
	return c.inputs(names, func(_ string, data []byte) int {
		if !strings.Contains(string(data), armourHead) {
			return c.fail(2, "no valid OpenPGP data found.")
		}
		key := plainKey(string(data))
		out := value(fl, "", "o", "output")
		if out == "" {
			c.printf("%s", key)
			return 0
		}
		differs, err := c.m.tree.write(c.p.user, c.path(out), []byte(key), 0o644)
		if err != nil {
			return c.fail(2, "can't create `%s': %s", out, reason(err))
		}
		if differs {
			c.m.changedFile(c.p, "wrote", c.path(out))
		}
		return 0
	})
}
