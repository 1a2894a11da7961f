package plan

import (
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"upgrader.dev/upgrader/engine"
)

// Limits of one expression: far beyond any real one, far below anything that takes time.
const (
	maxExpression = 4096      // characters
	maxCost       = 1_000_000 // in CEL's units, about one per operation; Kubernetes allows 10,000,000 per call (apiserver/pkg/apis/cel)
	maxDepth      = 64
)

// The names of the types that expressions meet.
const (
	varsName     = "vars"
	versionsName = "versions"
	hostName     = "host"
	runName      = "run"
	runState     = engine.FactRunState
	errorName    = "error"
	factsName    = "facts"
	hostsName    = "hosts"
)

// secretType is opaque: a secret can be passed on as a whole and nothing else.
var secretType = cel.OpaqueType("secret")

var (
	hostType = objectType{hostName, map[string]*cel.Type{
		"name": cel.StringType, "labels": cel.MapType(cel.StringType, cel.StringType), "groups": cel.ListType(cel.StringType),
	}}
	runType   = objectType{runName, map[string]*cel.Type{"id": cel.StringType, "state": cel.StringType}}
	errorType = objectType{errorName, map[string]*cel.Type{
		"message": cel.StringType, "exitCode": cel.IntType, "transient": cel.BoolType,
	}}
	factsType = cel.MapType(cel.StringType, cel.StringType)
)

// An environment is what the expressions of one scope may name.
type environment struct {
	cel      *cel.Env
	objects  map[string]objectType // by the name of the variable
	idents   []string
	compiled map[string]*compiled // by text
	run      *environment         // see atRun
}

// atRun is the environment of what is left of these expressions for the run.
func (env *environment) atRun() (*environment, error) {
	if env.run == nil {
		var err error
		if env.run, err = runEnvironment(); err != nil {
			return nil, err
		}
	}
	return env.run, nil
}

// newEnvironment makes an environment of these objects, and of facts and hosts() if wanted.
func newEnvironment(facts bool, hosts func(string) ref.Val, objects ...objectType) (*environment, error) {
	p, err := newProvider(append(objects, hostType)...)
	if err != nil {
		return nil, err
	}
	e := &environment{objects: map[string]objectType{}, compiled: map[string]*compiled{}}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(p), cel.CustomTypeAdapter(p), cel.EnableMacroCallTracking(), ext.Strings(),
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(maxDepth),
	}
	for _, o := range objects {
		e.objects[o.name] = o
		e.idents = append(e.idents, o.name)
		options = append(options, cel.Variable(o.name, o.cel()))
	}
	if facts {
		e.idents = append(e.idents, factsName)
		options = append(options, cel.Variable(factsName, factsType))
	}
	if hosts != nil {
		e.idents = append(e.idents, hostsName)
		options = append(options, cel.Function(hostsName, cel.Overload("hosts_string", []*cel.Type{cel.StringType},
			cel.ListType(hostType.cel()), cel.UnaryBinding(func(v ref.Val) ref.Val { return hosts(string(v.(types.String))) }))))
	}
	e.cel, err = cel.NewEnv(options...)
	return e, err
}

// runEnvironment is what is still open at run time: everything else has been filled in by Expand.
func runEnvironment() (*environment, error) { return newEnvironment(true, nil, hostType, runType) }

// retryEnvironment is for retry.on.
func retryEnvironment() (*environment, error) { return newEnvironment(false, nil, errorType) }

func hostObject(t engine.Target) *object {
	labels := map[ref.Val]ref.Val{}
	for k, v := range t.Labels {
		labels[types.String(k)] = types.String(v)
	}
	return &object{hostName, map[string]ref.Val{
		"name":   types.String(t.Name),
		"labels": types.NewRefValMap(types.DefaultTypeAdapter, labels),
		"groups": types.NewStringList(types.DefaultTypeAdapter, t.Groups),
	}}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
