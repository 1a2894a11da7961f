package journal

import (
	"errors"
	"os"
	"syscall"
)

// At least room is kept free after the last record: outcomes, settlements and the end of a run are under 1 KiB each. Stride is
// asked for beside it, so that not every append has to ask.
const (
	room   = 256 << 10
	stride = 64 << 10
)

const keepSize = 0x1 // FALLOC_FL_KEEP_SIZE of fallocate(2)

// reserve asks the file system for the blocks that the next records will need, without growing the file. Up to reserved
// they are there already; it returns up to where they are now.
func reserve(f *os.File, size, reserved int64) (int64, error) {
	if size+room <= reserved {
		return reserved, nil
	}
	err := syscall.Fallocate(int(f.Fd()), keepSize, size, room+stride)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return reserved, err
	}
	return size + room + stride, nil // a file system without fallocate has no reserve
}
