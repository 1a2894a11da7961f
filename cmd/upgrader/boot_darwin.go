package main

import "golang.org/x/sys/unix"

// bootID tells one start of this machine from another; empty: unknown.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
