package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"upgrader.dev/upgrader/engine/private"
)

// A sealKey is what the runs of this user are sealed with. It is not in the state directory: whoever can write there, or has this user
// unpack one, cannot make a seal. Whoever can read this user's own files can.
type sealKey struct {
	path  string
	bytes []byte // empty: there is none yet
}

// keyPlace is where the key is: $UPGRADER_KEY_FILE, $XDG_CONFIG_HOME/upgrader/run.key, ~/.config/upgrader/run.key.
func keyPlace(env map[string]string) (string, error) {
	if named := env["UPGRADER_KEY_FILE"]; named != "" {
		return absolute(named), nil
	}
	if base := env["XDG_CONFIG_HOME"]; filepath.IsAbs(base) { // the XDG specification has relative paths ignored
		return filepath.Join(base, "upgrader", "run.key"), nil
	}
	home := env["HOME"]
	if _, strange := private.Stranger(home); home == "" || strange && os.Geteuid() == 0 { // as a service of systemd has none, and some sudo keeps another's
		if u, err := user.Current(); err == nil {
			home = u.HomeDir
		}
	}
	if home == "" {
		return "", invalid("no place for the key that runs are sealed with: HOME is not set; set UPGRADER_KEY_FILE")
	}
	return filepath.Join(home, ".config", "upgrader", "run.key"), nil
}

// findKey reads the key. That there is none yet is no error.
func findKey(env map[string]string) (sealKey, error) {
	path, err := keyPlace(env)
	if err != nil {
		return sealKey{}, err
	}
	var text []byte
	if path, err = private.Follow(path); err == nil {
		text, err = private.ReadFile(path)
	}
	k := sealKey{path: path}
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return sealKey{}, fmt.Errorf("reading the key that runs are sealed with (another place for it is named as UPGRADER_KEY_FILE): %w", err)
	}
	if info, err := os.Stat(path); err == nil && private.Shared(info) {
		return sealKey{}, invalid("the key %s that runs are sealed with can be read by others: chmod 600 %s", path, path)
	}
	if k.bytes, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil || len(k.bytes) < sha256.Size {
		return sealKey{}, invalid("%s is not a key that runs are sealed with: want %d bytes in hexadecimal. Move it away, and the next run makes a new one", path, sha256.Size)
	}
	return k, nil
}

// theKey reads the key, and makes it at first use.
func theKey(env map[string]string) (sealKey, error) {
	k, err := findKey(env)
	if err != nil || len(k.bytes) > 0 {
		return k, err
	}
	fresh := make([]byte, sha256.Size)
	_, _ = rand.Read(fresh) // never fails, as its documentation says
	err = private.MkdirAll(filepath.Dir(k.path))
	if err == nil {
		err = private.CreateFile(k.path, []byte(hex.EncodeToString(fresh)+"\n"))
	}
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return findKey(env)
	}
	if err != nil {
		return sealKey{}, invalid("making the key that runs are sealed with: %w; name another place as UPGRADER_KEY_FILE", err)
	}
	return findKey(env)
}

// of is the key of one run, so that nothing of a run passes for something of another.
func (k sealKey) of(d runDir) []byte {
	mac := hmac.New(sha256.New, k.bytes)
	mac.Write([]byte("run " + cmp.Or(filepath.Base(string(d)), string(d))))
	return mac.Sum(nil)
}
