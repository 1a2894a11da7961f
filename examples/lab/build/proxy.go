//go:build linux

package build

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// proxyTools are the programs that kube-proxy runs, with the libraries that they need, out of the hosts' root file
// system: iptables in its nft form, conntrack, modprobe, and a shell to look around.
func proxyTools(root string) ([]entry, error) {
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if err != nil || len(libraries) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%s has %d folders usr/lib/*-linux-gnu, not one", root, len(libraries)))
	}
	plugins, err := filepath.Glob(filepath.Join(libraries[0], "xtables/*.so"))
	if err != nil {
		return nil, err
	}
	o := object{root: root, libraries: libraries[0], have: map[string]bool{}}
	for _, program := range []string{"usr/sbin/xtables-nft-multi", "usr/sbin/conntrack", "usr/bin/kmod", "usr/bin/dash"} {
		plugins = append(plugins, filepath.Join(root, program))
	}
	for _, path := range plugins {
		if err := o.add(path); err != nil {
			return nil, fmt.Errorf("collecting the tools of kube-proxy: %w", err)
		}
	}
	return append(o.entries, proxyLayout()...), nil
}

// proxyLayout are the links and folders around the tools.
func proxyLayout() []entry {
	all := []entry{
		{name: "bin", link: "usr/bin"}, {name: "sbin", link: "usr/sbin"}, {name: "lib", link: "usr/lib"}, {name: "lib64", link: "usr/lib64"},
		{name: "run"}, {name: "etc"}, {name: "tmp"}, {name: "var/lib"}, {name: "usr/lib64"},
		{name: "usr/bin/sh", link: "dash"}, {name: "usr/sbin/modprobe", link: "../bin/kmod"},
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		all = append(all, entry{name: "usr/sbin/" + name, link: "xtables-nft-multi"})
	}
	return all
}

// An object collects ELF files and what they are linked with.
type object struct {
	root, libraries string
	have            map[string]bool
	entries         []entry
}

func (o *object) add(path string) error {
	name := strings.TrimPrefix(path, o.root+"/")
	if o.have[name] {
		return nil
	}
	o.have[name] = true
	o.entries = append(o.entries, entry{name: name, from: path})
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	needs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, need := range slices.Compact(needs) {
		if err := o.add(filepath.Join(o.libraries, need)); err != nil {
			return err
		}
	}
	return o.addLoader(f)
}

// addLoader adds the program that loads the libraries, under the name that is written into every program.
func (o *object) addLoader(f *elf.File) error {
	section := f.Section(".interp")
	if section == nil {
		return nil
	}
	data, err := section.Data()
	if err != nil {
		return err
	}
	loader := "usr" + strings.TrimRight(string(data), "\x00") // /lib64/ld-linux-x86-64.so.2, where /lib64 is usr/lib64
	if o.have[loader] {
		return nil
	}
	o.have[loader] = true
	path := filepath.Join(o.libraries, filepath.Base(loader))
	if _, err := os.Stat(path); err != nil {
		return err
	}
	o.entries = append(o.entries, entry{name: loader, from: path})
	return nil
}
