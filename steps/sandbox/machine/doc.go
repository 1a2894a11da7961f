// Package machine is a pretend Debian host with a real door: it answers SSH on a loopback port and runs the scripts
// that a real host would run, through a shell interpreter with a file tree, packages, units and commands of its own.
// Nothing in it touches the real machine's files or processes.
//
// It may import golang.org/x/crypto/ssh (it is a server), mvdan.cc/sh and the standard library; it knows nothing of the
// other packages of this module.
package machine
