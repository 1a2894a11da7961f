package plan_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/document"
	"upgrader.dev/upgrader/engine/plan"
)

var update = flag.Bool("update", false, "write the faults of testdata/bad anew")

// mark stands in a bad document right before every character that a fault must point at. It is taken out before the
// document is read, so the places wanted do not come from the program under test.
const mark = "«"

// Every mistake planted in the documents under testdata/bad is found, with the message that the file says, at the very
// character marked; and nothing else is found.
//
// A file has sections as in a txtar archive: plan.yaml and its fragments; hosts, if the plan is to be expanded over three
// control planes and five workers; vars, name=value per line; and faults.
func TestBadPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil || len(files) < 65 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			bundle, places := unmark(sections(data))
			faults := faultsOf(t, bundle)
			checkPlaces(t, faults, places)
			got := ""
			for _, f := range faults {
				got += f.Error() + "\n"
			}
			if *update {
				head, _, _ := bytes.Cut(data, []byte("-- faults --\n"))
				if err := os.WriteFile(file, append(head, []byte("-- faults --\n"+got)...), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(bundle["faults"]), got); d != "" {
				t.Errorf("(-want +got; -update writes it anew)\n%s", d)
			}
		})
	}
}

// faultsOf checks a plan, or expands it if the document says so.
func faultsOf(t *testing.T, bundle plan.Bundle) []*document.Fault {
	t.Helper()
	p, err := loadBundle("", "plan.yaml", bundle)
	if p != nil {
		_, expand := bundle["hosts"]
		vars := map[string]string{}
		for _, line := range strings.Fields(string(bundle["vars"])) {
			name, value, _ := strings.Cut(line, "=")
			vars[name] = value
		}
		err = p.Check(catalog(t))
		if expand {
			_, err = p.Expand(plan.Options{Catalog: catalog(t), Targets: inventory(3, 5), Vars: vars})
		}
	}
	if err == nil {
		t.Fatal("no fault was found")
	}
	list := document.FaultsOf(err)
	if len(list) == 0 {
		t.Fatalf("not a fault: %v", err)
	}
	return list
}

// sections takes an archive apart.
func sections(data []byte) plan.Bundle {
	bundle := plan.Bundle{}
	name := ""
	for line := range bytes.Lines(data) {
		if head, ok := bytes.CutPrefix(line, []byte("-- ")); ok && bytes.HasSuffix(line, []byte(" --\n")) {
			name = string(bytes.TrimSuffix(head, []byte(" --\n")))
			bundle[name] = []byte{}
			continue
		}
		bundle[name] = append(bundle[name], line...)
	}
	return bundle
}

// unmark takes the marks out and returns where they stood, as file:line:col.
func unmark(bundle plan.Bundle) (plan.Bundle, []string) {
	var places []string
	for name, data := range bundle {
		if name == "faults" {
			continue
		}
		for n, line := range bytes.Split(data, []byte("\n")) {
			for {
				i := bytes.Index(line, []byte(mark))
				if i < 0 {
					break
				}
				places = append(places, fmt.Sprintf("%s:%d:%d", name, n+1, len([]rune(string(line[:i])))+1))
				line = bytes.Replace(line, []byte(mark), nil, 1)
			}
		}
		bundle[name] = bytes.ReplaceAll(data, []byte(mark), nil)
	}
	slices.Sort(places)
	return bundle, slices.Compact(places)
}

func checkPlaces(t *testing.T, faults []*document.Fault, want []string) {
	t.Helper()
	var got []string
	for _, f := range faults {
		if f.Line > 0 {
			got = append(got, fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Col))
		}
	}
	slices.Sort(got)
	got = slices.Compact(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("places (-marked +found):\n%s%v", d, faults)
	}
}

// A plan that is not there is no fault of a plan: the caller can tell and look elsewhere.
func TestLoadMissingFile(t *testing.T) {
	_, err := plan.Load(filepath.Join(t.TempDir(), "x.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
