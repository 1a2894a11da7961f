// Package plan is the plan document: what a runbook may say, what is wrong with one, and the graph that it means for
// a list of hosts.
//
//	Load        text -> Plan       structure, places, fragments; no catalog needed
//	Check       Plan -> faults     kinds, types of every expression, everything that can be known offline
//	Expand      Plan + hosts -> engine.Graph, pure: the same input gives the same bytes
//	Binder      Node + facts -> engine.Step, at run time
//
// Expressions are CEL, bare in `when` and `${{ }}` inside strings. They are typed: vars by their declaration, versions,
// host, hosts('pattern'), facts and run. What depends on vars, versions and hosts is evaluated by Expand; what depends
// on facts or on the run stays in the node as text and is evaluated by the Binder.
//
// It may import engine, engine/document and cel-go.
package plan
