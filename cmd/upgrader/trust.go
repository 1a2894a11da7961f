package main

import (
	"errors"
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
		return nil, wrong
	case wrong != nil:
		c.say("%v", wrong)
		c.say("run %s is gone on with as it is in %s, as you say", run.ID, run.dir)
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
	return seal, mistrust(run, key, f.Sealed(seal), pinned.edited(now))
}

// mistrust says why a run is not what this user's upgrader wrote, and what to do about it.
func mistrust(run listing, key sealKey, sealed error, edited []string) error {
	next := "\nif you know where they come from, and they may do what they say on every host: upgrader resume " + run.ID + " --adopt"
	switch {
	case errors.Is(sealed, journal.ErrUnsealed):
		return invalid("run %s: the files in %s are not sealed, as an older upgrader left them: nobody can tell whether they were edited%s", run.ID, run.dir, next)
	case errors.Is(sealed, journal.ErrForeign) && len(key.bytes) == 0:
		return invalid("run %s: %w, and this user has no key in %s. Copied from another machine, or another home? Bring its run.key too, or name it as UPGRADER_KEY_FILE%s", run.ID, sealed, key.path, next)
	case errors.Is(sealed, journal.ErrForeign):
		return invalid("run %s: %w: not by the key in %s. Copied from another machine, or another home? Bring its run.key too, or name it as UPGRADER_KEY_FILE%s", run.ID, sealed, key.path, next)
	case sealed != nil:
		return sealed
	case len(edited) > 0:
		return invalid("run %s: %s in %s: edited since upgrader wrote it, so nothing of it is gone on with; put it back as it was%s", run.ID, strings.Join(edited, ", "), run.dir, next)
	}
	return nil
}
