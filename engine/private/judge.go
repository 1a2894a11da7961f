package private

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// An Error says why a file or a directory is not trusted. Nothing was read from it or written to it.
type Error struct {
	Path string
	What string // that is wrong, with the owner and the mode
	Next string // what to do about it
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %s", e.Path, e.What, e.Next) }

// judge is the rule: a plain file or a directory, this user's or root's, that nobody else may write.
func judge(path string, info fs.FileInfo) error {
	owner := ownerOf(info)
	switch mode := info.Mode(); {
	case isLink(info):
		return &Error{path, "is a symbolic link, which is followed nowhere in a state directory (" + describe(info) + ")",
			"find out who put it there, then: rm " + quote(path)}
	case mode&fs.ModeDevice != 0:
		return &Error{path, "is neither a file nor a directory (" + describe(info) + ")", "name another place"}
	case !mode.IsRegular() && !mode.IsDir():
		return &Error{path, "is neither a file nor a directory (" + describe(info) + ")", "find out who put it there, then: rm " + quote(path)}
	case !trusted(owner):
		return &Error{path, "belongs to " + userName(owner) + ", who could have this process do anything (" + describe(info) + ")", notOurs(path, owner)}
	case mode.IsDir() && mode&fs.ModeSticky != 0 && mode.Perm()&0o022 != 0:
		return &Error{path, "is a place that others write to as well (" + describe(info) + ")", "name a directory of your own, which may be in it"}
	case mode.Perm()&0o022 != 0:
		return &Error{path, "can be written by others than its owner (" + describe(info) + ")",
			"make sure that nobody did, then: chmod go-w " + quote(path) + "; or name another place with --state-dir"}
	}
	return nil
}

// Shared says whether a file with a secret can be read by more than those it is meant for: by everybody, or by the group if it is
// this user's own. That of another owner, as in the mount of a Kubernetes Secret, is this user's by its group alone.
func Shared(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	return mode&0o007 != 0 || mode&0o070 != 0 && int64(ownerOf(info)) == int64(os.Geteuid())
}

// Stranger is the name of the user that a directory belongs to, if that is neither this user nor root.
func Stranger(dir string) (name string, is bool) {
	info, err := os.Stat(dir)
	if err != nil || trusted(ownerOf(info)) {
		return "", false
	}
	return userName(ownerOf(info)), true
}

// notOurs is what to do about a file of another user. Root in a user's home is mostly sudo that has kept HOME.
func notOurs(path string, owner uint32) string {
	me := userName(uint32(os.Geteuid())) //nolint:gosec // a uid is not negative here: there are none on Windows
	if os.Geteuid() == 0 {
		return fmt.Sprintf("run as that user (without sudo), or keep %s's own runs elsewhere with --state-dir", me)
	}
	return fmt.Sprintf("run as that user, or name a place of %s's with --state-dir; if it is meant to be %s's: sudo chown %s %s", me, me, me, quote(path))
}

func describe(info fs.FileInfo) string {
	return "owner " + userName(ownerOf(info)) + ", mode " + info.Mode().String()
}

// userName is what a person calls a user.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// quote makes a path one word of a shell, if it is not one.
func quote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@,%=", r)
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
