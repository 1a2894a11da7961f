package approval

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// signers are the patterns of names that have a key. Whether a signature is one's is ssh-keygen's to say, over the same lines.
type signers []string

// parseSigners reads the lines of an allowed_signers file: names, options, the type of a key, the key, a comment.
func parseSigners(text string) (signers, error) {
	var found signers
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if !hasKey(fields[1:]) {
			return nil, fmt.Errorf("line %d, %q: want names and a public key, as in: ann ssh-ed25519 AAAA", i+1, line)
		}
		found = append(found, strings.Split(strings.Trim(fields[0], `"`), ",")...)
	}
	if len(found) == 0 {
		return nil, errors.New("holds no key; leave it out if answers need no signature")
	}
	return found, nil
}

// hasKey says whether the type of a key stands before something that begins as the key itself says its type.
func hasKey(fields []string) bool {
	for i := range len(fields) - 1 {
		blob, err := base64.StdEncoding.DecodeString(fields[i+1]) //nolint:forbidigo // a key, which is compared and never shown
		if err == nil && len(blob) > 4+len(fields[i]) && string(blob[4:4+len(fields[i])]) == fields[i] {
			return true
		}
	}
	return false
}

func (s signers) has(who string) bool {
	return slices.ContainsFunc(s, func(pattern string) bool {
		fits, err := path.Match(pattern, who)
		return err == nil && fits
	})
}
