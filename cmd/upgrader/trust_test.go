package main

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/engine/private"
	"upgrader.dev/upgrader/steps/remote"
)

const tinyPlan = `apiVersion: upgrader.dev/v1
kind: Plan
name: tiny
steps:
  - id: go
    uses: approval
    with: {message: "Go?"}
`

// A pinning is a run that was pinned, as `run` does it, by a user with a home.
type pinning struct {
	listing
	console *console
	env     map[string]string
	state   string
}

// newPinning pins a run of a tiny plan and an inventory, and lets a process begin with it.
func newPinning(t *testing.T) pinning {
	t.Helper()
	return pinningOf(t, tinyPlan, story()...)
}

func pinningOf(t *testing.T, text string, records ...journal.Record) pinning {
	t.Helper()
	env := map[string]string{"HOME": t.TempDir(), "USER": "tester"}
	p := pinning{console: newConsole(nil, &bytes.Buffer{}, &bytes.Buffer{}, env, nil), env: env}
	key, err := theKey(env)
	if err != nil {
		t.Fatal(err)
	}
	p.state = t.TempDir()
	id, dir, err := (store{p.state}).create(noon())
	if err != nil {
		t.Fatal(err)
	}
	p.listing = listing{manifest: manifest{ID: id, Created: noon(), Plan: "tiny", PlanPath: fileWith(t, "tiny.yaml", text), Inventory: inventoryFile(t)}, dir: dir}
	file, err := journal.Open(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.Seal(key.of(dir))
	p.pin(t, file, text)
	if err := file.Append(journal.Record{Kind: journal.Begin, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if err := file.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p pinning) pin(t *testing.T, file *journal.File, text string) {
	t.Helper()
	catalog, err := offline()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := loadPlan(fileWith(t, "tiny.yaml", text), catalog)
	if err != nil {
		t.Fatal(err)
	}
	inventory, err := remote.LoadInventory(p.Inventory)
	if err != nil {
		t.Fatal(err)
	}
	g, err := loaded.Expand(plan.Options{Catalog: catalog, Targets: inventory.Targets()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.dir.pin(file, p.manifest, loaded, g, inventory.Text()); err != nil {
		t.Fatal(err)
	}
}

// trusted says whether a resume would go on with the run, and what it would go on from.
func (p pinning) trusted(t *testing.T, adopt bool) (string, error) {
	t.Helper()
	file, err := journal.Open(string(p.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := trust(p.console, p.listing, file, adopt); err != nil {
		return "", err
	}
	var said strings.Builder
	err = file.Scan(func(rec *journal.Record) error {
		said.WriteString(rec.Say + rec.Why + rec.State + rec.Node + rec.Digest + rec.Time.String() + "\n")
		return nil
	})
	return said.String(), err
}

// TestAnEditedRunIsRefused flips a bit of every byte of every file that a resume goes on from, and wants each to be refused with the
// name of the file. What a crash may have left of the last record of the journal is no edit.
func TestAnEditedRunIsRefused(t *testing.T) {
	p := newPinning(t)
	whole, err := p.trusted(t, false)
	if err != nil {
		t.Fatal(err)
	}
	tried, refused, torn := 0, 0, 0
	for _, name := range []string{"run.json", "graph.json", "inventory.yaml", "plan/tiny.yaml", journal.Name} {
		path := p.dir.path(name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range text {
			edited := bytes.Clone(text)
			edited[i] ^= 1 << (i % 8)
			if err := os.WriteFile(path, edited, 0o600); err != nil {
				t.Fatal(err)
			}
			tried++
			said, err := p.trusted(t, false)
			switch {
			case err != nil && strings.Contains(err.Error(), name):
				refused++
			case err == nil && name == journal.Name && len(said) < len(whole) && strings.HasPrefix(whole, said):
				torn++
			default:
				t.Errorf("%s with byte %d changed from %q to %q: %v", name, i, text[i], edited[i], err)
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("figure: %d bits of a run's files flipped: %d refused, %d are a last record cut short", tried, refused, torn)
	if said, err := p.trusted(t, false); err != nil || said != whole {
		t.Errorf("put back: %v", err)
	}
}

// TestOtherEditsOfARun are those that no flip of a bit makes: a file that is gone, and a run in the place of another.
func TestOtherEditsOfARun(t *testing.T) {
	for _, name := range []string{"run.json", "graph.json", "inventory.yaml", "plan/tiny.yaml"} {
		p := newPinning(t)
		if err := os.Remove(p.dir.path(name)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.trusted(t, false); err == nil || !strings.Contains(err.Error(), name) || exitCode(err) != exitInvalid {
			t.Errorf("without %s: %v", name, err)
		}
	}
	p, other := newPinning(t), newPinning(t)
	p.console.env = other.env
	if err := errors.Join(os.RemoveAll(string(other.dir)), os.CopyFS(string(other.dir), os.DirFS(string(p.dir)))); err != nil {
		t.Fatal(err)
	}
	if _, err := other.trusted(t, false); !errors.Is(err, journal.ErrForeign) {
		t.Errorf("another run in its place: %v", err)
	}
}

// TestAdopt proves that what is not sealed here is gone on with by a person's word only, and from then on without it: a run of another
// machine, one of a program that did not seal, one that a person has edited.
func TestAdopt(t *testing.T) {
	for name, tt := range map[string]struct {
		estrange func(p *pinning) error
		words    string
	}{
		"another machine's": {func(p *pinning) error { return os.RemoveAll(filepath.Join(p.env["HOME"], ".config")) }, "is another or is not there"},
		"another user's": {func(p *pinning) error {
			return os.WriteFile(filepath.Join(p.env["HOME"], ".config", "upgrader", "run.key"), bytes.Repeat([]byte("ab"), 32), 0o600)
		}, "bring the run.key from there"},
		"edited":        {func(p *pinning) error { return os.WriteFile(p.dir.path("plan", "tiny.yaml"), []byte("{}"), 0o600) }, ": plan/tiny.yaml; nothing was done"},
		"not sealed":    {func(p *pinning) error { return unseal(p.dir) }, "are not sealed, as an older upgrader left them"},
		"without a key": {func(p *pinning) error { return errors.Join(unseal(p.dir), os.RemoveAll(p.env["HOME"])) }, "are not sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPinning(t)
			if err := tt.estrange(&p); err != nil {
				t.Fatal(err)
			}
			_, err := p.trusted(t, false)
			if err == nil || !strings.Contains(err.Error(), tt.words) || !strings.Contains(err.Error(), "upgrader resume "+p.ID+" --adopt") {
				t.Errorf("without the word: %v", err)
			}
			for _, adopt := range []bool{true, false} {
				if _, err := p.trusted(t, adopt); err != nil {
					t.Errorf("--adopt=%v: %v", adopt, err)
				}
			}
		})
	}
}

// TestNobodySealsWithoutAKey proves that where this user has no key yet, no run counts as sealed by it: a seal by no key is one that
// anybody can make.
func TestNobodySealsWithoutAKey(t *testing.T) {
	p := newPinning(t)
	if err := errors.Join(os.RemoveAll(filepath.Join(p.env["HOME"], ".config")), unseal(p.dir)); err != nil {
		t.Fatal(err)
	}
	file, err := journal.Open(string(p.dir))
	if err != nil {
		t.Fatal(err)
	}
	file.Seal(sealKey{}.of(p.dir))
	p.pin(t, file, tinyPlan)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.trusted(t, false); !errors.Is(err, journal.ErrForeign) {
		t.Errorf("a resume: %v", err)
	}
	if _, err := trusts(p.console, p.listing); !errors.Is(err, journal.ErrForeign) {
		t.Errorf("an approval: %v", err)
	}
}

// unseal makes the journal one of a program that did not seal, nor pin digests.
func unseal(d runDir) error {
	var records []journal.Record
	if err := journal.Scan(string(d), func(rec *journal.Record) error {
		if rec.Kind != journal.Pinned {
			records = append(records, *rec)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := os.Remove(d.path(journal.Name)); err != nil {
		return err
	}
	file, err := journal.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(file.Append(records...), file.Close())
}

// TestAPinThatWasCutShort proves that a process killed anywhere between the record of an edited plan and the last of its files leaves
// a run that is gone on with, and that afterwards its files are those and no others.
func TestAPinThatWasCutShort(t *testing.T) {
	p := newPinning(t)
	before := filesIn(t, p.dir)
	file, err := journal.Open(string(p.dir))
	if err != nil {
		t.Fatal(err)
	}
	key, err := findKey(p.env)
	if err != nil {
		t.Fatal(err)
	}
	file.Seal(key.of(p.dir))
	p.pin(t, file, strings.Replace(tinyPlan, "Go?", "Go on?", 1))
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	after := filesIn(t, p.dir)
	log := after[journal.Name]
	delete(after, journal.Name)
	for n := range len(after) + 1 { // so many of the new files were written
		names := slices.Sorted(maps.Keys(after))
		put(t, p.dir, journal.Name, log)
		for i, name := range names {
			put(t, p.dir, name, map[bool][]byte{true: after[name], false: before[name]}[i < n])
		}
		for range 2 {
			if _, err := p.trusted(t, false); err != nil {
				t.Errorf("%d new files: %v", n, err)
			}
		}
		file, err := journal.Open(string(p.dir))
		if err != nil {
			t.Fatal(err)
		}
		file.Seal(key.of(p.dir))
		if err := errors.Join(file.Append(journal.Record{Kind: journal.Begin, Epoch: 2}), file.Close()); err != nil {
			t.Fatal(err)
		}
		put(t, p.dir, "graph.json", map[bool][]byte{true: before["graph.json"], false: after["graph.json"]}[n > 0])
		if _, err := p.trusted(t, false); err == nil || !strings.Contains(err.Error(), "graph.json") {
			t.Errorf("%d new files, and after a process had begun with them another graph: %v", n, err)
		}
	}
}

func put(t *testing.T, d runDir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(d.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func filesIn(t *testing.T, d runDir) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(string(d)), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[path], err = os.ReadFile(d.path(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTheKey proves that the key is made once, for its owner only, and that one which others may read or write seals nothing.
func TestTheKey(t *testing.T) {
	env := map[string]string{"HOME": t.TempDir()}
	a, err := theKey(env)
	b, again := theKey(env)
	if err != nil || again != nil || !bytes.Equal(a.bytes, b.bytes) || len(a.bytes) != 32 {
		t.Fatalf("%x, %v; %x, %v", a.bytes, err, b.bytes, again)
	}
	if a.path != filepath.Join(env["HOME"], ".config", "upgrader", "run.key") {
		t.Errorf("it is in %s", a.path)
	}
	if err := private.Tree(filepath.Dir(a.path)); err != nil {
		t.Error(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(a.path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := theKey(env); err == nil || !strings.Contains(err.Error(), a.path) {
			t.Errorf("%#o: %v", mode, err)
		}
	}
	env["UPGRADER_KEY_FILE"] = filepath.Join(t.TempDir(), "k")
	if c, err := theKey(env); err != nil || bytes.Equal(c.bytes, a.bytes) || c.path != env["UPGRADER_KEY_FILE"] {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestTheKeyBehindLinks proves that the key may be where a person keeps such files: behind a link of their own, whether it is
// there already or is to be made.
func TestTheKeyBehindLinks(t *testing.T) {
	home := t.TempDir()
	config, dotfiles := filepath.Join(home, ".config"), filepath.Join(home, "dotfiles")
	if err := errors.Join(os.Mkdir(config, 0o755), os.Mkdir(dotfiles, 0o700), os.Symlink(dotfiles, filepath.Join(config, "upgrader"))); err != nil {
		t.Fatal(err)
	}
	made, err := theKey(map[string]string{"HOME": home})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(dotfiles, "run.key"), link); err != nil {
		t.Fatal(err)
	}
	if named, err := findKey(map[string]string{"UPGRADER_KEY_FILE": link}); err != nil || !bytes.Equal(named.bytes, made.bytes) {
		t.Errorf("%+v, %v", named, err)
	}
}

// A journal that was damaged is not gone on with, and a person is told how to go on without it.
func TestADamagedJournalSaysWhatToDo(t *testing.T) {
	p := newPinning(t)
	path := p.dir.path(journal.Name)
	if err := os.WriteFile(path, append([]byte(textOf(t, path)), "garbage\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := p.trusted(t, false)
	var out bytes.Buffer
	newConsole(nil, &bytes.Buffer{}, &out, p.env, nil).complain(err)
	if !errors.Is(err, journal.ErrDamaged) || !strings.Contains(out.String(), "put it back as it was") || !strings.Contains(out.String(), "upgrader run") {
		t.Errorf("%v: %s", err, out.String())
	}
}
