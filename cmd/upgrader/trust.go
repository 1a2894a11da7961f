package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"upgrader.dev/upgrader/engine/journal"
)

// trust makes sure, before anything of a run is gone on with, that its journal and its files are what this user's upgrader wrote: the
// journal is sealed by the user's key, and says what the files are. With adopt, a person has said that they are to be trusted as
// they are, and from here on they are sealed. It returns the key of the run.
func trust(c *console, run listing, file *journal.File, adopt bool) (seal []byte, err error) {
	key, err := findKey(c.env)
	if adopt && err == nil {
		key, err = theKey(c.env)
	}
	if err != nil {
		return nil, err
	}
	seal = key.of(run.dir)
	file.Seal(seal)
	pinned, err := pinsOf(file.Scan)
	if err != nil {
		return nil, err
	}
	now, err := run.dir.digests()
	if err != nil {
		return nil, err
	}
	wrong := mistrust(run, key, file.Sealed(), pinned.edited(now))
	switch {
	case wrong != nil && !adopt:
		return nil, refusal(run, wrong)
	case wrong != nil:
		c.say("%v; going on with it as it is, as you say", wrong)
	case pinned.settled(now):
		return seal, nil
	}
	return seal, file.Append(journal.Record{Kind: journal.Pinned, Facts: now})
}

// trusts says whether a run, on which a process may be at work, is as this user's upgrader wrote it. It returns the key of the run.
func trusts(c *console, run listing) (seal []byte, err error) {
	key, err := findKey(c.env)
	if err != nil {
		return nil, err
	}
	f := journal.NewFollower(string(run.dir))
	pinned, err := pinsOf(f.Scan)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	now, err := run.dir.digests()
	if err != nil {
		return nil, err
	}
	seal = key.of(run.dir)
	if wrong := mistrust(run, key, f.Sealed(seal), pinned.edited(now)); wrong != nil {
		return nil, refusal(run, wrong)
	}
	return seal, nil
}

// mistrust says why a run is not what this user's upgrader wrote.
func mistrust(run listing, key sealKey, sealed error, edited []string) error {
	if sealed == nil && len(key.bytes) == 0 {
		sealed = journal.ErrForeign // by no key: anybody can make such a seal
	}
	switch {
	case errors.Is(sealed, journal.ErrUnsealed):
		return fmt.Errorf("run %s: %w, as an older upgrader left them: nobody can tell whether the files in %s were edited", run.ID, sealed, run.dir)
	case errors.Is(sealed, journal.ErrForeign):
		return fmt.Errorf("run %s: %w: the key of this user, %s, is another or is not there", run.ID, sealed, key.path)
	case sealed != nil:
		return sealed
	case len(edited) > 0:
		return fmt.Errorf("run %s: edited since upgrader wrote it in %s: %s", run.ID, run.dir, strings.Join(edited, ", "))
	}
	return nil
}

// refusal is what to do about a run that is not trusted.
func refusal(run listing, why error) error {
	next := "put it back as it was"
	if errors.Is(why, journal.ErrForeign) {
		next = "if it was copied from another machine or home, bring the run.key from there, or name it as UPGRADER_KEY_FILE"
	}
	if errors.Is(why, journal.ErrUnsealed) {
		next = "look at them first"
	}
	return invalid("%w; nothing was done\n%s; or, if you know where it comes from and it may do on every host what it says: upgrader resume %s --adopt", why, next, run.ID)
}
