//go:build linux

package build

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// signer is who signs the repositories.
const signer = "upgrader lab <root@localhost>"

// packages puts the packages of a release into the repository of its minor version, beside those of other releases.
func (l *list) packages(r Release) (part, error) {
	all, err := debs(l.cache, r)
	if err != nil {
		return part{}, err
	}
	folder := l.cache.repository(r)
	p := part{
		name:     "packages " + r.Version,
		key:      keyOf(layout, strings.ReplaceAll(fmt.Sprint(all), l.cache.Dir, ""), l.keysOf("kubernetes "+r.Version, "cni "+cniVersion, "crictl")),
		products: []string{filepath.Join(folder, "InRelease"), l.cache.path("gpg")},
		make:     func(ctx context.Context, j *job) error { return j.makeRepository(ctx, r, all) },
	}
	for _, d := range all {
		p.products = append(p.products, filepath.Join(folder, runtime.GOARCH, d.file()))
	}
	return p, nil
}

// repository is laid out as the community's, so that a runbook's URL fits with another host name.
func (c Cache) repository(r Release) string {
	return filepath.Join(c.Apt(), "core:/stable:", r.Minor(), "deb")
}

func (j *job) makeRepository(ctx context.Context, r Release, all []deb) error {
	next := filepath.Join(j.tmp, "deb")
	pool := filepath.Join(next, runtime.GOARCH)
	if err := makeFolder(pool); err != nil {
		return err
	}
	if err := keepPinned(filepath.Join(j.cache.repository(r), runtime.GOARCH), pool); err != nil {
		return fmt.Errorf("keeping the packages of other releases: %w", err)
	}
	for _, d := range all {
		if err := j.pack(ctx, d, filepath.Join("deb", runtime.GOARCH)); err != nil {
			return err
		}
	}
	if err := j.index(ctx, r, next); err != nil {
		return err
	}
	if err := j.sign(ctx, next); err != nil {
		return err
	}
	return j.publish(next, j.cache.repository(r))
}

// keepPinned takes over the packages of releases that are pinned.
func keepPinned(from, to string) error {
	old, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range old {
		for _, r := range Releases() {
			if strings.Contains(entry.Name(), "_"+r.Revision()+"_") {
				err = errors.Join(err, os.Link(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
			}
		}
	}
	return err
}

// index writes what apt reads: Packages, and Release with its hashes.
func (j *job) index(ctx context.Context, r Release, dir string) error {
	packages, err := j.output(ctx, command{dir: dir, argv: []string{"apt-ftparchive", "packages", "."}})
	if err != nil {
		return err
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(packages); err != nil {
		return err
	}
	if err := errors.Join(z.Close(), writeFile(filepath.Join(dir, "Packages"), packages),
		writeFile(filepath.Join(dir, "Packages.gz"), zipped.Bytes())); err != nil {
		return fmt.Errorf("writing the index: %w", err)
	}
	release, err := j.output(ctx, command{dir: dir, argv: []string{"apt-ftparchive",
		"-o", "APT::FTPArchive::Release::Origin=upgrader lab", "-o", "APT::FTPArchive::Release::Label=" + r.Minor(), "release", "."}})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "Release"), release)
}

// A keyring is where gpg keeps a key.
type keyring struct{ home string }

func (k keyring) command(dir, program string, args ...string) command {
	return command{dir: dir, env: []string{"GNUPGHOME=" + k.home}, argv: append([]string{program}, args...)}
}

func (k keyring) gpg(dir string, args ...string) command {
	return k.command(dir, "gpg", append([]string{"--batch", "--yes", "--quiet"}, args...)...)
}

// leave ends the agent, which gpg starts and nobody else would end.
func (k keyring) leave(ctx context.Context, j *job) {
	_ = j.run(context.WithoutCancel(ctx), k.command("", "gpgconf", "--kill", "gpg-agent")) // there may be none
}

// sign signs a repository with the cache's own key.
func (j *job) sign(ctx context.Context, dir string) error {
	k := keyring{j.cache.path("gpg")}
	if _, err := os.Stat(k.home); errors.Is(err, fs.ErrNotExist) {
		if err := j.makeKey(ctx, k.home); err != nil {
			return fmt.Errorf("making the key that signs repositories: %w", err)
		}
	}
	defer k.leave(ctx, j)
	key, err := j.output(ctx, k.gpg(dir, "--armor", "--export"))
	if err != nil {
		return err
	}
	return errors.Join(writeFile(filepath.Join(dir, "Release.key"), key),
		j.run(ctx, k.gpg(dir, "--clearsign", "-o", "InRelease", "Release")),
		j.run(ctx, k.gpg(dir, "--armor", "--detach-sign", "-o", "Release.gpg", "Release")))
}

// makeKey makes the key aside, so that there is never half of one.
func (j *job) makeKey(ctx context.Context, home string) error {
	k := keyring{filepath.Join(j.tmp, "gpg")}
	if err := os.Mkdir(k.home, 0o700); err != nil {
		return err
	}
	err := j.run(ctx, k.gpg("", "--passphrase", "", "--quick-generate-key", signer, "rsa2048", "sign", "never"))
	k.leave(ctx, j)
	if err != nil {
		return err
	}
	return os.Rename(k.home, home)
}
