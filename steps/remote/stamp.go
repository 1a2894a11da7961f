package remote

import (
	"fmt"
	"time"
)

// ParseStamp reads a time as `TZ=UTC systemctl show` prints it under the LC_ALL=C of every script; other forms of time need
// a newer systemctl than Debian 11 has. The zero time stands for none, which systemctl writes as nothing or n/a.
func ParseStamp(text string) (time.Time, error) {
	if text == "" || text == "n/a" {
		return time.Time{}, nil
	}
	t, err := time.Parse("Mon 2006-01-02 15:04:05 MST", text)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time %q is not understood", text)
	}
	return t, nil
}
