// Package knowledge is what Kubernetes has removed and demands from minor version to minor version, as data with a source
// for every entry, and what is known to go wrong. It covers the target minors 1.25 to 1.37. The data are the YAML files
// in data/, which the program carries with it; the functions only look things up. It imports engine/document alone.
//
// Lookups take the minor that runs (after) and the one that is wanted (upTo), and speak of what changes on the way: in
// every minor newer than after and not newer than upTo.
package knowledge

import (
	"embed"
	"io/fs"
	"path"

	"upgrader.dev/upgrader/engine/document"
)

//go:embed data/*.yaml
var dataFS embed.FS

// A File is one file of data. Each holds some of the sections; together they are the base.
type File struct {
	APIs       []API           `yaml:"apis" doc:"API versions that were removed"`
	Flags      []removedFlags  `yaml:"flags" doc:"flags that components do not take any more"`
	Values     []refusedValues `yaml:"values" doc:"values of flags that components refuse"`
	Plugins    []removedPlugin `yaml:"plugins" doc:"admission plugins that were removed"`
	Gates      []gateChanges   `yaml:"gates" doc:"feature gates that were removed or locked, by minor"`
	Volumes    []Volume        `yaml:"volumes" doc:"volume plugins that were removed"`
	Floors     []Floor         `yaml:"floors" doc:"what a target minor brings and asks for"`
	Repository *Repository     `yaml:"repository" doc:"what has happened to the repositories of packages"`
	Failures   []Failure       `yaml:"failures" doc:"what is known to go wrong"`
}

// A Base is everything that is known. It never changes, and may be used by many goroutines.
type Base struct {
	Repository Repository // what has happened to the repositories of packages

	all   File
	gates map[string]gate
}

// Load decodes the data that the program carries. It takes some milliseconds; an error is a mistake in the data.
func Load() (*Base, error) {
	names, err := fs.Glob(dataFS, "data/*.yaml")
	if err != nil {
		return nil, err
	}
	b := &Base{}
	for _, name := range names {
		text, err := dataFS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := b.add(path.Base(name), text); err != nil {
			return nil, err
		}
	}
	b.gates = gatesOf(b.all.Gates)
	return b, nil
}

// add takes in one file.
func (b *Base) add(name string, text []byte) error {
	var f File
	if err := document.Decode(name, text, &f); err != nil {
		return err
	}
	all := &b.all
	all.APIs = append(all.APIs, f.APIs...)
	all.Flags = append(all.Flags, f.Flags...)
	all.Values = append(all.Values, f.Values...)
	all.Plugins = append(all.Plugins, f.Plugins...)
	all.Gates = append(all.Gates, f.Gates...)
	all.Volumes = append(all.Volumes, f.Volumes...)
	all.Floors = append(all.Floors, f.Floors...)
	all.Failures = append(all.Failures, f.Failures...)
	if f.Repository != nil {
		b.Repository = *f.Repository
	}
	return nil
}
