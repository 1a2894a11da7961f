// Package e2e upgrades real clusters in the lab and hurts them meanwhile: the controller, its connections, the hosts,
// and the people beside it. Its tests have the build tag e2e, need root, and drive two programs from outside, as an
// operator would: `lab` and `upgrader`. They share no code with the engine and the steps that they judge; only the
// contract tests, which compare the sandbox with the lab, start one.
//
//	make e2e        one control plane and one worker; what CI runs
//	make e2e-full   all of it
package e2e
