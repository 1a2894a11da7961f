// Package private opens files that nobody else can have written. What a run is taken up from decides what is done as root on
// every host, so a file counts only if it is this user's, or root's, and nobody else may write it or lead to another one.
//
// It is the one door to the state directory. It imports the standard library only.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Check judges a directory that links may lead to, as from ~/.local/state to a larger disk: it, and every link on the way, has to be
// trusted. That there is no such directory is fs.ErrNotExist.
func Check(dir string) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = links(abs)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return err
	}
	return judge(abs, info)
}

// Follow is where a path leads that links may lead to, as from ~/.config to a directory of dotfiles, or in the mount of a
// Kubernetes Secret: every link on the way has to be trusted. What is not there yet is where it would be.
func Follow(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		err = links(abs)
	}
	if errors.Is(err, fs.ErrNotExist) && abs != filepath.Dir(abs) {
		dir, err := Follow(filepath.Dir(abs))
		return filepath.Join(dir, filepath.Base(abs)), err
	}
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// links judges those that are on the way to a path.
func links(abs string) error {
	for at := abs; at != filepath.Dir(at); at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if owner := ownerOf(info); isLink(info) && !trusted(owner) {
			return &Error{Path: at, What: "is a link of another user, " + describe(info), Next: "name another place with --state-dir"}
		}
	}
	return nil
}

// Tree judges a directory and all that is in it.
func Tree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != dir:
			return nil // a process that is at work has just replaced it
		case err != nil:
			return err
		}
		return judge(path, info)
	})
}

// MkdirAll makes a directory, for its owner only, and those that it is in. One that is there already is judged.
func MkdirAll(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return judge(dir, info)
}

// ReadDir lists what is in a directory, in the order of the names.
func ReadDir(dir string) ([]fs.DirEntry, error) {
	root, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer closeRead(root)
	return fs.ReadDir(root.FS(), ".")
}

// Open opens a file to be read.
func Open(path string) (*os.File, error) { return OpenFile(path, os.O_RDONLY) }

// OpenFile opens a file as os.OpenFile does, and makes it for its owner only. The directory and the file are judged, and what was
// opened is what was judged: a link that is put there meanwhile is not followed.
func OpenFile(path string, flag int) (*os.File, error) {
	root, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer closeRead(root)
	name := filepath.Base(path)
	before, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		f, err := root.OpenFile(name, flag|os.O_EXCL, 0o600) // exclusively, no link is followed
		if !errors.Is(err, fs.ErrExist) || flag&os.O_EXCL != 0 {
			return f, named(err, path)
		}
		if before, err = root.Lstat(name); err != nil { // another process was faster
			return nil, named(err, path)
		}
	case err != nil:
		return nil, named(err, path)
	}
	if err := judge(path, before); err != nil {
		return nil, err
	}
	return openJudged(root, path, flag, before)
}

func openJudged(root *os.Root, path string, flag int, before fs.FileInfo) (*os.File, error) {
	f, err := root.OpenFile(filepath.Base(path), flag, 0o600)
	if err != nil {
		return nil, named(err, path)
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		if err = judge(path, after); err == nil && isReplaced(root, path, after) {
			return f, nil
		}
		if err == nil {
			err = &Error{Path: path, What: "was exchanged while it was opened", Next: "find out by whom, then try again"}
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isReplaced says whether a file that was opened is what stands there, as when a process replaces a file as a whole meanwhile.
func isReplaced(root *os.Root, path string, opened fs.FileInfo) bool {
	now, err := root.Lstat(filepath.Base(path))
	return err == nil && os.SameFile(now, opened)
}

// ReadFile reads a file as a whole.
func ReadFile(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer closeRead(f)
	return io.ReadAll(f)
}

// WriteFile replaces a file as a whole, for its owner only: a reader, or a crash, sees the old one or the new one.
func WriteFile(path string, data []byte) error {
	fresh, err := writeBeside(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// CreateFile makes a file that is not there yet, as a whole, for its owner only. That there is one is fs.ErrExist.
func CreateFile(path string, data []byte) error {
	fresh, err := writeBeside(path, data)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(fresh, path), os.Remove(fresh)) // a link fails where a rename would replace
}

// writeBeside makes a new file in the directory of another, which is judged, and returns its name once all of it is on the disk.
func writeBeside(path string, data []byte) (fresh string, err error) {
	if err := checkDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func checkDir(dir string) error {
	root, err := openDir(dir)
	if err == nil {
		closeRead(root)
	}
	return err
}

// openDir opens a directory that is judged, and no link.
func openDir(dir string) (*os.Root, error) {
	before, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if err := judge(dir, before); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	after, err := root.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = &Error{Path: dir, What: "was exchanged while it was opened", Next: "find out by whom, then try again"}
	}
	if err != nil {
		closeRead(root)
		return nil, err
	}
	return root, nil
}

func closeRead(c io.Closer) { _ = c.Close() } // nothing was written through it

// named gives an error of a root the whole path.
func named(err error, path string) error {
	if bad, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "open", Path: path, Err: bad.Err}
	}
	return err
}

func isLink(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink != 0 }

func ownerOf(info fs.FileInfo) uint32 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid
	}
	return ^uint32(0)
}

func trusted(owner uint32) bool { return owner == 0 || int64(owner) == int64(os.Geteuid()) }
