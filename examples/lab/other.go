//go:build !linux

// Command lab needs Linux: its hosts are namespaces.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "lab: the lab's hosts are namespaces of Linux: run it on a Linux machine, or in a virtual one")
	os.Exit(1)
}
