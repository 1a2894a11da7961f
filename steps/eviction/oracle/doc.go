// Package oracle has no code: its test holds kubectl's own drain (k8s.io/kubectl/pkg/drain) against package eviction. It is a module
// of its own, so that what kubectl is made of does not get into the program's list of modules; `make oracle` runs it.
package oracle
