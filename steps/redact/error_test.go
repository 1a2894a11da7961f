package redact

import (
	"errors"
	"io/fs"
	"testing"
)

// An error without its secret is still the error that it was.
func TestError(t *testing.T) {
	err := Error(&fs.PathError{Op: "reading", Path: "https://u:hunter2@host/", Err: fs.ErrPermission})
	if got, want := err.Error(), "reading https://u:***@host/: permission denied"; got != want || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%q, want %q", got, want)
	}
	if Error(nil) != nil || Error(fs.ErrExist) != fs.ErrExist { //nolint:errorlint // the same one, not one like it
		t.Error("an error that shows nothing was changed")
	}
}
