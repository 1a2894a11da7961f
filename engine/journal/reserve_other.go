//go:build !linux

package journal

import "os"

func reserve(*os.File, int64, int64) (int64, error) { return 0, nil }
