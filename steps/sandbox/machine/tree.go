package machine

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxLinks is how many symbolic links one path may follow, as in Linux (MAXSYMLINKS).
const maxLinks = 40

// A node is a file, a directory or a symbolic link. Its fields are guarded by the tree's lock.
type node struct {
	ino    uint64
	mode   fs.FileMode // type and permission bits
	owner  string
	group  string
	mtime  time.Time
	data   []byte
	later  func() []byte           // the content of a file that nobody has looked into yet; nil when data is it
	target string                  // of a symbolic link
	kids   map[string]*node        // of a directory
	device device                  // of a file whose content is made up while it is read
	more   func() map[string]*node // of a directory whose content is made up, beside kids
}

// content is what a file holds. What is made only when somebody looks is made now.
func (n *node) content() []byte {
	if n.later != nil {
		return n.later()
	}
	return n.data
}

// replace puts something else into a file.
func (n *node) replace(data []byte, now time.Time) { n.data, n.later, n.mtime = data, nil, now }

// kid is what a directory holds under a name.
func (n *node) kid(name string) *node {
	if k := n.kids[name]; k != nil || n.more == nil {
		return k
	}
	return n.more()[name]
}

// A device answers for a file that has no content of its own. A nil read is an empty file; writes vanish.
type device struct {
	read func() []byte
	is   bool
}

// A tree is a file system in memory. The zero value is not usable; newTree makes one.
type tree struct {
	mu   sync.RWMutex
	root *node
	last uint64 // inode numbers given so far
	now  func() time.Time
}

func newTree(now func() time.Time) *tree {
	t := &tree{now: now, last: 1}
	t.root = &node{ino: 2, mode: fs.ModeDir | 0o755, owner: "root", group: "root", mtime: now(), kids: map[string]*node{}}
	t.last = 2
	return t
}

func (t *tree) newNode(mode fs.FileMode, owner string) *node {
	t.last++
	n := &node{ino: t.last, mode: mode, owner: owner, group: owner, mtime: t.now()}
	if mode.IsDir() {
		n.kids = map[string]*node{}
	}
	return n
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// allowed says whether a user may do what the bit (4 read, 2 write, 1 search or execute) asks for.
func (n *node) allowed(user string, bit fs.FileMode) bool {
	switch user {
	case "root":
		return bit != 1 || n.mode.IsDir() || n.mode&0o111 != 0
	case n.owner:
		return n.mode&(bit<<6) != 0
	}
	return n.mode&bit != 0
}

// walk finds the node of an absolute path and the directory that it is in. A missing last part is no error: the node
// is nil then. With follow a symbolic link as the last part is followed.
func (t *tree) walk(user, name string, follow bool) (dir, n *node, base string, err error) {
	return t.walkLinks(user, name, follow, 0)
}

func (t *tree) walkLinks(user, name string, follow bool, links int) (dir, n *node, base string, err error) {
	if links > maxLinks {
		return nil, nil, "", syscall.ELOOP
	}
	whole := path.Clean(name)
	if !path.IsAbs(whole) {
		whole = path.Clean("/" + name)
	}
	if whole == "/" {
		return t.root, t.root, "/", nil
	}
	at, rest, last := t.root, whole[1:], false
	for !last {
		if !at.mode.IsDir() {
			return nil, nil, "", syscall.ENOTDIR
		}
		if !at.allowed(user, 1) {
			return nil, nil, "", syscall.EACCES
		}
		var part string
		var more bool
		where := whole[:len(whole)-len(rest)]
		part, rest, more = strings.Cut(rest, "/")
		last = !more
		kid := at.kid(part)
		switch {
		case kid == nil && last:
			return at, nil, part, nil
		case kid == nil:
			return nil, nil, "", syscall.ENOENT
		case kid.mode&fs.ModeSymlink != 0 && (!last || follow):
			to := kid.target
			if !path.IsAbs(to) {
				to = path.Join(where, to)
			}
			return t.walkLinks(user, path.Join(to, rest), follow, links+1)
		case last:
			return at, kid, part, nil
		}
		at = kid
	}
	return nil, nil, "", syscall.ENOENT
}

// find is walk for a node that must be there.
func (t *tree) find(user, name string, follow bool) (*node, error) {
	_, n, _, err := t.walk(user, name, follow)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	return n, err
}

// stat describes a file.
func (t *tree) stat(user, name string, follow bool) (fs.FileInfo, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, err := t.find(user, name, follow)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(path.Base(path.Clean("/" + name))), nil
}

// access says whether the user may do to a file what the bit asks for.
func (t *tree) access(user, name string, bit fs.FileMode) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, err := t.find(user, name, true)
	if err == nil && !n.allowed(user, bit) {
		err = syscall.EACCES
	}
	if err != nil {
		return pathError("access", name, err)
	}
	return nil
}

// read is the content of a file, as it is now.
func (t *tree) read(user, name string) ([]byte, error) {
	t.mu.RLock()
	n, err := t.find(user, name, true)
	switch {
	case err != nil:
	case n.mode.IsDir():
		err = syscall.EISDIR
	case !n.allowed(user, 4):
		err = syscall.EACCES
	}
	if err != nil {
		t.mu.RUnlock()
		return nil, pathError("open", name, err)
	}
	if n.device.is {
		t.mu.RUnlock() // what a device reads may ask the tree
		if n.device.read == nil {
			return nil, nil
		}
		return n.device.read(), nil
	}
	defer t.mu.RUnlock()
	return slices.Clone(n.content()), nil
}

// list is what a directory holds, sorted by name.
func (t *tree) list(user, name string) ([]fs.DirEntry, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, err := t.find(user, name, true)
	switch {
	case err != nil:
	case !n.mode.IsDir():
		err = syscall.ENOTDIR
	case !n.allowed(user, 4):
		err = syscall.EACCES
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	var entries []fs.DirEntry
	kids := n.kids
	if n.more != nil {
		kids = n.more()
		maps.Copy(kids, n.kids)
	}
	for _, kid := range slices.Sorted(maps.Keys(kids)) {
		entries = append(entries, fs.FileInfoToDirEntry(kids[kid].info(kid)))
	}
	return entries, nil
}

// real is the path of a file with every symbolic link followed; the last part need not exist.
func (t *tree) real(user, name string) (string, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	name = path.Clean("/" + name)
	for range maxLinks {
		next, moved, err := t.unlink1(user, name)
		if err != nil {
			return "", pathError("readlink", name, err)
		}
		if !moved {
			return name, nil
		}
		name = next
	}
	return "", pathError("readlink", name, syscall.ELOOP)
}

// unlink1 replaces the first symbolic link of a path by what it points to.
func (t *tree) unlink1(user, name string) (string, bool, error) {
	parts := strings.Split(strings.Trim(name, "/"), "/")
	for i := range parts {
		at := "/" + path.Join(parts[:i+1]...)
		n, err := t.find(user, at, false)
		if errors.Is(err, syscall.ENOENT) && i == len(parts)-1 {
			return name, false, nil
		}
		if err != nil {
			return "", false, err
		}
		if n.mode&fs.ModeSymlink == 0 {
			continue
		}
		to := n.target
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(at), to)
		}
		return path.Join(append([]string{to}, parts[i+1:]...)...), true, nil
	}
	return name, false, nil
}

// An info is a fs.FileInfo of a node at one moment.
type info struct {
	name         string
	mode         fs.FileMode
	mtime        time.Time
	size         int64
	ino          uint64
	owner, group string
	target       string
}

func (n *node) info(name string) info {
	size := int64(len(n.content()))
	if n.target != "" {
		size = int64(len(n.target))
	}
	if n.mode.IsDir() {
		size = 4096
	}
	return info{name, n.mode, n.mtime, size, n.ino, n.owner, n.group, n.target}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.mtime }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
