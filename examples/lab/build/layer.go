//go:build linux

package build

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"time"
)

// An entry is a file of an image: taken from a path, or a link, or else a directory.
type entry struct {
	name string // without a leading slash
	from string
	link string
}

// epoch is the time of everything that is built, so that the same sources give the same bytes.
func epoch() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// writeLayer writes a layer that depends on the entries alone: sorted, with the folders above them, owned by root.
func writeLayer(w io.Writer, entries []entry) error {
	tw := tar.NewWriter(w)
	for _, e := range withFolders(entries) {
		if err := e.write(tw); err != nil {
			return fmt.Errorf("packing %s: %w", e.name, err)
		}
	}
	return tw.Close()
}

func withFolders(entries []entry) []entry {
	all := slices.Clone(entries)
	for _, e := range entries {
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			all = append(all, entry{name: dir})
		}
	}
	byName := func(a, b entry) int { return cmp.Compare(a.name, b.name) }
	slices.SortStableFunc(all, byName)
	return slices.CompactFunc(all, func(a, b entry) bool { return a.name == b.name })
}

func (e entry) write(tw *tar.Writer) error {
	h := tar.Header{Name: e.name, ModTime: epoch(), Format: tar.FormatPAX}
	switch {
	case e.link != "":
		h.Typeflag, h.Mode, h.Linkname = tar.TypeSymlink, 0o777, e.link
	case e.from == "":
		h.Typeflag, h.Mode, h.Name = tar.TypeDir, 0o755, e.name+"/"
	default:
		return e.copy(tw, h)
	}
	return tw.WriteHeader(&h)
}

func (e entry) copy(tw *tar.Writer, h tar.Header) error {
	f, err := os.Open(e.from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Mode, h.Size = tar.TypeReg, int64(info.Mode().Perm()), info.Size()
	if err := tw.WriteHeader(&h); err != nil {
		return err
	}
	_, err = io.Copy(tw, f)
	return err
}
