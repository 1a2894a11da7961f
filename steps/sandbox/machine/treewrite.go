package machine

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"
)

// A change of the tree, as the tree's methods report it: nothing happened, or it did.
type changed bool

// open finds or makes the file that a shell or a program wants to write to.
func (t *tree) open(user, name string, flag int, perm fs.FileMode) (*node, changed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, made, err := t.openLocked(user, name, flag, perm)
	if err != nil {
		return nil, false, pathError("open", name, err)
	}
	return n, made, nil
}

func (t *tree) openLocked(user, name string, flag int, perm fs.FileMode) (*node, changed, error) {
	dir, n, base, err := t.walk(user, name, true)
	if err != nil {
		return nil, false, err
	}
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, false, syscall.ENOENT
	case n == nil && !dir.allowed(user, 2):
		return nil, false, syscall.EACCES
	case n == nil:
		n = t.newNode(perm&fs.ModePerm, user)
		dir.kids[base], dir.mtime = n, t.now()
		return n, true, nil
	case flag&os.O_EXCL != 0:
		return nil, false, syscall.EEXIST
	case n.mode.IsDir():
		return nil, false, syscall.EISDIR
	case !n.allowed(user, 2):
		return nil, false, syscall.EACCES
	}
	if flag&os.O_TRUNC != 0 && len(n.content()) > 0 {
		n.replace(nil, t.now())
		return n, true, nil
	}
	return n, false, nil
}

// write replaces the content of a file, making it if need be, and says whether anything is different now.
func (t *tree) write(user, name string, data []byte, perm fs.FileMode) (changed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, made, err := t.openLocked(user, name, os.O_CREATE, perm)
	if err != nil {
		return false, pathError("open", name, err)
	}
	if n.device.is {
		return false, nil
	}
	differs := !bytes.Equal(n.content(), data)
	n.replace(bytes.Clone(data), t.now())
	return made || changed(differs), nil
}

// extend appends to an open file.
func (t *tree) extend(n *node, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.device.is || len(data) == 0 {
		return
	}
	n.replace(append(n.content(), data...), t.now())
}

// overwrite writes at a place within an open file, or from there on beyond its end.
func (t *tree) overwrite(n *node, data []byte, at int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.device.is || len(data) == 0 {
		return
	}
	old := n.content()
	whole := append(append([]byte(nil), old[:min(at, len(old))]...), data...)
	if len(old) > len(whole) {
		whole = append(whole, old[len(whole):]...)
	}
	n.replace(whole, t.now())
}

// mkdir makes one directory; it is atomic: of many callers one succeeds.
func (t *tree) mkdir(user, name string, perm fs.FileMode) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, base, err := t.vacant(user, name, true)
	if err != nil {
		return pathError("mkdir", name, err)
	}
	dir.kids[base], dir.mtime = t.newNode(fs.ModeDir|perm, user), t.now()
	return nil
}

// vacant finds the directory and the name for something new: nothing is there, and the user may put it there.
func (t *tree) vacant(user, name string, follow bool) (dir *node, base string, err error) {
	dir, n, base, err := t.walk(user, name, follow)
	switch {
	case err != nil:
	case n != nil:
		err = syscall.EEXIST
	case !dir.allowed(user, 2):
		err = syscall.EACCES
	}
	return dir, base, err
}

// mkdirAll makes a directory and those above it that are missing.
func (t *tree) mkdirAll(user, name string, perm fs.FileMode) (changed, error) {
	made := changed(false)
	name = path.Clean("/" + name)
	if name != "/" {
		if i, err := t.stat(user, name, true); err == nil {
			if !i.IsDir() {
				return false, pathError("mkdir", name, syscall.EEXIST)
			}
			return false, nil
		}
		if _, err := t.mkdirAll(user, path.Dir(name), perm); err != nil {
			return false, err
		}
		if err := t.mkdir(user, name, perm); err != nil {
			if i, err2 := t.stat(user, name, true); err2 == nil && i.IsDir() {
				return false, nil // somebody else was faster
			}
			return false, err
		}
		made = true
	}
	return made, nil
}

// remove takes a file or an empty directory away; with all also a full one.
func (t *tree) remove(user, name string, all bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, n, base, err := t.walk(user, name, false)
	switch {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case n == t.root:
		err = syscall.EBUSY
	case !dir.allowed(user, 2):
		err = syscall.EACCES
	case n.mode.IsDir() && len(n.kids) > 0 && !all:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	delete(dir.kids, base)
	dir.mtime = t.now()
	return nil
}

// rename moves a file over another name at once, as rename(2) does.
func (t *tree) rename(user, from, to string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.renameLocked(user, from, to)
	if err != nil {
		return pathError("rename", from, err)
	}
	return nil
}

func (t *tree) renameLocked(user, from, to string) error {
	dir, n, base, err := t.walk(user, from, false)
	if err != nil {
		return err
	}
	toDir, old, toBase, err := t.walk(user, to, false)
	if err != nil {
		return err
	}
	switch {
	case n == nil:
		return syscall.ENOENT
	case !dir.allowed(user, 2) || !toDir.allowed(user, 2):
		return syscall.EACCES
	case old == n:
		return nil
	case old != nil && old.mode.IsDir() && !n.mode.IsDir():
		return syscall.EISDIR
	case old != nil && n.mode.IsDir() && !old.mode.IsDir():
		return syscall.ENOTDIR
	case old != nil && len(old.kids) > 0:
		return syscall.ENOTEMPTY
	}
	delete(dir.kids, base)
	toDir.kids[toBase] = n
	dir.mtime, toDir.mtime = t.now(), t.now()
	return nil
}

// link makes a second name for a file.
func (t *tree) link(user, from, to string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.find(user, from, false)
	if err != nil {
		return pathError("link", from, err)
	}
	dir, old, base, err := t.walk(user, to, false)
	switch {
	case err != nil:
	case old != nil:
		err = syscall.EEXIST
	case n.mode.IsDir():
		err = syscall.EPERM
	case !dir.allowed(user, 2):
		err = syscall.EACCES
	}
	if err != nil {
		return pathError("link", to, err)
	}
	dir.kids[base] = n
	return nil
}

// symlink makes a symbolic link.
func (t *tree) symlink(user, target, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, base, err := t.vacant(user, name, false)
	if err != nil {
		return pathError("symlink", name, err)
	}
	n := t.newNode(fs.ModeSymlink|0o777, user)
	n.target = target
	dir.kids[base] = n
	return nil
}

// set changes what a file is rather than what it holds, through f, and says whether anything is different now.
func (t *tree) set(user, name string, f func(*node)) (changed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.find(user, name, true)
	if err == nil && user != "root" && user != n.owner {
		err = syscall.EPERM
	}
	if err != nil {
		return false, pathError("chmod", name, err)
	}
	mode, owner, group := n.mode, n.owner, n.group
	f(n)
	return mode != n.mode || owner != n.owner || group != n.group, nil
}

// put writes a file of the machine's own, with the directories above it. It is for what the machine itself makes.
func (t *tree) put(name, data string, perm fs.FileMode) {
	t.mustDir(path.Dir(name))
	if _, err := t.write("root", name, []byte(data), perm); err != nil {
		panic("machine: writing its own " + name + ": " + err.Error())
	}
}

// putLater is put for a file that is dear to make and that hardly anybody reads: later is called when somebody does, once,
// and must ask nothing of the tree.
func (t *tree) putLater(name string, later func() []byte, perm fs.FileMode) {
	t.mustDir(path.Dir(name))
	t.mu.Lock()
	defer t.mu.Unlock()
	n, _, err := t.openLocked("root", name, os.O_CREATE, perm)
	if err != nil {
		panic("machine: writing its own " + name + ": " + err.Error())
	}
	n.replace(nil, t.now())
	n.later = sync.OnceValue(later)
}

func (t *tree) mustDir(name string) {
	if _, err := t.mkdirAll("root", name, 0o755); err != nil {
		panic("machine: making its own " + name + ": " + err.Error())
	}
}

func (t *tree) mustSet(name string, f func(*node)) {
	if _, err := t.set("root", name, f); err != nil {
		panic("machine: setting up its own " + name + ": " + err.Error())
	}
}

func (t *tree) mustLink(target, name string) {
	if err := t.symlink("root", target, name); err != nil {
		panic("machine: linking its own " + name + ": " + err.Error())
	}
}

// mount puts a file whose content is made up while it is read.
func (t *tree) mount(name string, read func() []byte) {
	t.mustDir(path.Dir(name))
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, n, base, err := t.walk("root", name, true)
	if err != nil {
		panic("machine: making its own " + name + ": " + err.Error())
	}
	if n == nil {
		n = t.newNode(0o444, "root")
		dir.kids[base] = n
	}
	n.device = device{read: read, is: true}
	if read == nil {
		n.mode = fs.ModeDevice | fs.ModeCharDevice | 0o666
	}
}
