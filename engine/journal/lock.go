package journal

import (
	"errors"
	"os"
	"time"
)

// lockSoon is lock, but does not take somebody for a writer who only asks: an older program, or one of today where there
// is only flock(2). Asking is over in no time.
func lockSoon(f *os.File) error {
	err := lock(f)
	for tries := 0; tries < 20 && errors.Is(err, ErrLocked); tries++ {
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // flock(2) tells nobody when it is free; 0.2 s in all
		err = lock(f)
	}
	return err
}
