// Package engine is what a run is: the graph of steps, the reducer that decides, the runner that obeys it, and the report of
// what became of it.
//
// One question carries everything: a Step is asked what is left to do on its target and answers with Changes. The
// engine alone performs a Change, after its intent is durable in the journal, and asks again afterwards. Dry run,
// resume, idempotence and post-conditions are that same question asked at different moments.
//
// The way of a record, from a thing that happened to a thing that is known:
//
//	a worker brings an Event:  observed w3/drain: evict pod a, evict pod b
//	        |
//	        v                        the only place that decides
//	  Reducer.Next ------------> may it? stop, failure, outage, gates, a look at the hosts, the lock
//	        |                        its tables: effects | hosts | whose turn | timers
//	        |  commands, in order
//	        +--> Append intent a, intent b      the reducer takes each in at once, as a later process will by Replay
//	        +--> Make a, Make b
//	        |
//	  Runner: journal them, one fsync --> show them (Watch) --> a goroutine a command: Do(a), Do(b)
//	        ^                                                                  |
//	        +------------- events: made a; made b, nobody knows ---------------+
//
//	plan + inventory --(engine/plan, pure)--> Graph
//	journal --Past.Take, one by one--> the same Reducer: what a resume, an edited plan, status, report and the lock's release ask
//
// Nothing else decides: a worker knows no deadline but the one it is given, a view knows no state but the records'. Time is what
// processes have spent on the run (Record.Elapsed), so no clock that is set moves a soak or a timeout. Every need is counted
// and whoever meets it tells those that wait, so no event costs more as the run grows.
//
// The files of the reducer, in the order in which to read them:
//
//	reducer.go, schedule.go, begin.go   events in, commands out; what a process that takes the run up finds
//	turn.go, queue.go                   whose needs are met; timers
//	node.go, work.go, act.go, fail.go, mishap.go   the way of one node, what stands before an effect, and how it ends
//	late.go                             a person is asked about a step that ran out of time
//	effects.go, decide.go               the table of effects, and a person's word about them
//	ledger.go, room.go                  hosts: what the run has to do with each, and whether one more may be out of service
//	rollout.go, look.go, letin.go, member.go   who may be next
//	snapshot.go                         all of it written down and taken up again
//
// The engine knows nothing of Kubernetes, SSH or YAML. It may import its own journal and the standard library.
package engine
