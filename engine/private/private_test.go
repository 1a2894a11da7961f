package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // with a looser one, what a test makes itself would be refused
	os.Exit(m.Run())
}

// A secret may be read by the group that another owner has given it to, as a Kubernetes Secret is mounted for a user that is
// not root; never by everybody.
func TestShared(t *testing.T) {
	const stranger = 4242
	for _, tt := range []struct {
		mode  fs.FileMode
		owner int
		want  bool
	}{{0o600, os.Getuid(), false}, {0o400, os.Getuid(), false}, {0o640, os.Getuid(), true}, {0o604, os.Getuid(), true}, {0o440, stranger, false}, {0o444, stranger, true}} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, tt.mode)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, tt.owner, -1); err != nil {
			continue // only root can
		}
		info, err := os.Stat(path)
		if err != nil || Shared(info) != tt.want {
			t.Errorf("%v of %d: %v, %v", tt.mode, tt.owner, Shared(info), err)
		}
	}
}

// TestWhatIsRefused proves that nothing which somebody else can have made is opened, wherever in the directory it is, and that the
// words tell the path, the owner, the mode and the command that mends it.
func TestWhatIsRefused(t *testing.T) {
	const stranger = 4242
	asRoot := os.Geteuid() == 0
	for name, tt := range map[string]struct {
		spoil func(path string) error
		words []string
		root  bool // only root can make it
	}{
		"writable by the group": {func(p string) error { return os.Chmod(p, 0o660) }, []string{"mode -rw-rw----", "chmod go-w "}, false},
		"writable by others":    {func(p string) error { return os.Chmod(p, 0o602) }, []string{"mode -rw-----w-", "chmod go-w "}, false},
		"a stranger's":          {func(p string) error { return os.Chown(p, stranger, 0) }, []string{"belongs to uid 4242", "--state-dir"}, true},
		"a link": {func(p string) error { return errors.Join(os.Rename(p, p+".real"), os.Symlink(p+".real", p)) },
			[]string{"is a symbolic link", "rm "}, false},
		"a FIFO": {func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o600)) },
			[]string{"neither a file nor a directory", "rm "}, false},
		"a device": {func(p string) error {
			return errors.Join(os.Remove(p), syscall.Mknod(p, syscall.S_IFCHR|0o600, 1<<8|3))
		},
			[]string{"neither a file nor a directory", "name another place"}, true}, // and not: rm /dev/null
	} {
		t.Run(name, func(t *testing.T) {
			if tt.root && !asRoot {
				t.Skip("only root can make one")
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "deep", "file")
			if err := errors.Join(MkdirAll(filepath.Dir(path)), WriteFile(path, []byte("x"))); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(Tree(dir), Check(dir)); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := tt.spoil(path); errors.Is(err, fs.ErrPermission) {
				t.Skip(err) // a container may not make devices
			} else if err != nil {
				t.Fatal(err)
			}
			_, read := ReadFile(path)
			_, opened := OpenFile(path, os.O_RDWR|os.O_CREATE)
			for way, err := range map[string]error{"tree": Tree(dir), "read": read, "opened": opened} {
				refused(t, way, path, err, tt.words...)
			}
		})
	}
}

// TestADirectoryThatIsRefused proves the same of the directory that a file is in: nothing is read from it nor written to it.
func TestADirectoryThatIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := errors.Join(MkdirAll(dir), WriteFile(filepath.Join(dir, "f"), nil), os.Chmod(dir, 0o770)); err != nil {
		t.Fatal(err)
	}
	_, read := ReadFile(filepath.Join(dir, "f"))
	for way, err := range map[string]error{"check": Check(dir), "tree": Tree(dir), "made": MkdirAll(dir), "read": read, "written": WriteFile(filepath.Join(dir, "g"), nil)} {
		refused(t, way, dir, err, "mode drwxrwx---", "chmod go-w "+dir)
	}
	if _, err := os.Lstat(filepath.Join(dir, "g")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was written: %v", err)
	}
}

// TestALinkToTheStateDirectory proves that one's own link to it is fine and a stranger's is not.
func TestALinkToTheStateDirectory(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "state")
	if err := errors.Join(MkdirAll(filepath.Join(dir, "disk", "upgrader")), os.Symlink("disk", link)); err != nil {
		t.Fatal(err)
	}
	if err := Check(filepath.Join(link, "upgrader")); err != nil {
		t.Errorf("one's own: %v", err)
	}
	if err := Check(filepath.Join(link, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a link away")
	}
	if err := os.Lchown(link, 4242, 0); err != nil {
		t.Fatal(err)
	}
	refused(t, "a stranger's", link, Check(filepath.Join(link, "upgrader")), "link of another user", "--state-dir")
}

// TestFollow proves that one's own links lead to a file, as in the mount of a Kubernetes Secret, also to one that is to be
// made, and that a stranger's lead nowhere.
func TestFollow(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(MkdirAll(at("..2026")), WriteFile(at("..2026/key"), nil), os.Symlink("..2026", at("..data")), os.Symlink("..data/key", at("key"))); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"key": "..2026/key", "..data/new": "..2026/new", "..data/deep/new": "..2026/deep/new", "no/where": "no/where"} {
		if got, err := Follow(at(path)); got != at(want) || err != nil {
			t.Errorf("%s leads to %s, %v", path, got, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give a link away")
	}
	if err := os.Lchown(at("..data"), 4242, 0); err != nil {
		t.Fatal(err)
	}
	_, err = Follow(at("..data/new"))
	refused(t, "a stranger's", at("..data"), err, "link of another user")
}

// TestAPlaceOfEverybody proves that nobody is told to take /tmp away from everybody else.
func TestAPlaceOfEverybody(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	err := Check(dir)
	refused(t, "sticky", dir, err, "name a directory of your own")
	if strings.Contains(err.Error(), "chmod") {
		t.Error(err)
	}
}

// TestALinkPlantedMeanwhile proves that what is opened is what was judged, while somebody exchanges it as fast as they can.
func TestALinkPlantedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "file"), filepath.Join(dir, "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("secret"), 0o600), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Symlink("victim", path+".l")
				_ = os.Rename(path+".l", path)
				_ = os.WriteFile(path+".f", []byte("mine"), 0o600)
				_ = os.Rename(path+".f", path)
			}
		}
	}()
	for range 5000 {
		if data, err := ReadFile(path); err == nil && string(data) != "mine" {
			t.Fatalf("read %q", data)
		}
	}
	close(stop)
	<-stopped
}

func refused(t *testing.T, way, path string, err error, words ...string) {
	t.Helper()
	var bad *Error
	if !errors.As(err, &bad) {
		t.Errorf("%s: %v", way, err)
		return
	}
	for _, want := range append(words, path, "owner ") {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %q", way, err, want)
		}
	}
}
