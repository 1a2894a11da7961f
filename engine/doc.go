// Package engine is what a run is: the graph of steps, the scheduler that decides what may start, the runner that
// performs it, and the report of what became of it.
//
// One question carries everything: a Step is asked what is left to do on its target and answers with Changes. The
// engine alone performs a Change, after its intent is durable in the journal, and asks again afterwards. Dry run,
// resume, idempotence and post-conditions are that same question asked at different moments.
//
//	plan + inventory --(engine/plan, pure)--> Graph
//	Graph + journal  --(Reducer, pure)------> what may start now
//	Runner: observe -> intent (fsync) -> Do -> outcome -> observe again
//	journal = event stream = input of status, report and resume
//
// The engine knows nothing of Kubernetes, SSH or YAML. It may import its own journal and the standard library.
package engine
