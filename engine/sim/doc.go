// Package sim tries the engine's reducer in worlds that go wrong. It is a tool of the repository:
//
//	make sim SEEDS=100000     # as many worlds, from seed 1 on
//	make sim SEED=1234        # one of them again, with everything that happens printed
//
// A seed is a trial, and always the same one: the plan, the hosts, what fails and when are drawn by one generator, and
// everything happens in one event loop, without goroutines, clocks or maps whose order matters. Trials are independent, so
// several run side by side.
//
// A trial is one run of a plan, from its first process to its last. The parts:
//
//   - plan.go, draw.go: a toy plan is drawn and expanded to a graph: rollouts one after the other and side by side, also
//     over the same hosts, with canaries, soaks, tolerated failures and gates of each host's own; single steps, gates,
//     approvals, waits; what is done finally. Its steps are small models of the real ones: a drain cordons and evicts, an
//     install is a guarded job, a reboot and a command happen once, an uncordon takes back the run's own cordon.
//   - world.go, observe.go, jobs.go: hosts, pods, the API, the lock, and jobs that go on when their controller is dead.
//   - faults.go, adversity.go: hosts die and come back, others cordon and uncordon them, answers are lost, the API is away,
//     disks are full, wall clocks jump by days, a rival takes the lock. Each trial has a few of these, drawn at its start.
//   - process.go, obey.go: one process drives one engine.Reducer, as engine.Runner does: records are durable before
//     anything else that was wanted in the same turn is begun. A process may be killed in any turn, before, within or after
//     the write, or between two commands; in some the reducer is written down and taken up again from its snapshot.
//   - operator.go: the person, who answers late or never, stops and resumes, edits the plan between processes, says what is
//     true of effects that were cut off, sometimes wrongly, and which hosts are in order that the plan has lost.
//   - rehearse.go: some plans are also rehearsed, and run without faults, and both have to say the same.
//
// After a few processes the faults stop. From then on the operator only resumes and decides, and the run has to end.
//
// The judge (judge*.go) shares no code with the engine. It keeps books of its own from what the reducer is told, what it
// wants and what happens in the world, and after every event holds the invariants:
//
//	I1        never more hosts of a rollout at work or out of service than its maxUnavailable, by a look that is at most
//	          15 s old; canaries first; one rollout at work on a host
//	I4        a once-effect happens once unless a person says retry, whatever its step is called; nothing is begun again
//	          while it may be going on
//	I5        every effect has a durable intent and a ticket of its own
//	I6        nothing is begun after a stop, a failure or a rival, nor without a fresh proof of the lock
//	I7        a run that is done leaves no host cordoned
//	I10       gates that were open are looked at again before anything is changed; elapsed time is counted, no wall clock
//	I11       a rehearsal changes nothing, and says what a run without faults does
//	I12       what is reported done is done, and what is reported of the run is true
//	I14       no process spins or hangs, and when the faults have stopped the run ends
//	late      a step that ran out of time: nothing more is changed on a host that was left out, nothing begins where the plan or a
//	          person has the run stop, and nothing is given up before a person has answered, where one is to be asked
//	needs, approval, soak, deadline, retry, outage, undo, finally, snapshot: what the words say
//
// Who judges the judge: TestPlanted, with the build tag planted, has the reducer make one of 49 mistakes at a time
// (`if r.planted(7)` in package engine), and shows after how many seeds which invariant finds it:
//
//	go test -tags planted ./engine/sim -run TestPlanted -v          # -bug 7: only that one
//
// And TestEveryKill leaves nothing to chance where the world is small: it kills at every write, before and after it is
// durable, and then the next process at every write of its own.
//
// To look at a seed that fails: print its trace, find the last lines before VIOLATION, and read upwards from the node or host
// that is named there. The invariant is the judge's word; when the reducer is right, judge.go is where to say why.
package sim
