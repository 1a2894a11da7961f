package knowledge

import (
	"regexp"
	"slices"
)

// A Place is where a text comes from that patterns are tried on.
type Place string

// The places.
const (
	KubeletLog    Place = "kubelet-log"    // lines of journalctl -u kubelet
	ContainerLog  Place = "container-log"  // lines of the log of a component or of etcd
	KubeadmOutput Place = "kubeadm-output" // what kubeadm prints, on either stream
	StaticPod     Place = "static-pod"     // a manifest in /etc/kubernetes/manifests
	FromAPI       Place = "api"            // an event, the state of a container, an annotation (key: value), or an error of the API
	FromEtcd      Place = "etcd"           // what etcdctl prints with -w json
	Certificates  Place = "certificates"   // the table of kubeadm certs check-expiration
	Host          Place = "host"           // what a command prints; one that prints a single word stands before it, with a colon
	Config        Place = "config"         // kubeadm-config, a file of flags such as kubeadm-flags.env, the configuration of the kubelet or of the runtime
)

// A Failure is something that is known to go wrong.
type Failure struct {
	ID       string    `yaml:"id" required:"true" doc:"short words with dashes"`
	Title    string    `yaml:"title" required:"true" doc:"what happens, in one sentence without a full stop"`
	Sources  []string  `yaml:"sources" required:"true" doc:"where it was reported (repository#number) or the file that says so"`
	Symptom  string    `yaml:"symptom" required:"true" doc:"what one sees, and why"`
	Patterns []Pattern `yaml:"patterns" required:"true" doc:"how a program recognises it: any of them"`
	Remedy   string    `yaml:"remedy" required:"true" doc:"what to do, in the imperative, with the command"`
	Minors   Span      `yaml:"minors" doc:"the target minors that it can happen with; default: all"`
}

// A Span is a range of minors, both ends included. A zero end is open.
type Span struct {
	From Minor `yaml:"from"`
	To   Minor `yaml:"to"`
}

// Holds tells whether a minor is in the span.
func (s Span) Holds(m Minor) bool { return s.From <= m && (s.To == 0 || m <= s.To) }

// A Pattern is a text by which a failure is recognised.
type Pattern struct {
	In      Place       `yaml:"in" required:"true" enum:"kubelet-log,container-log,kubeadm-output,static-pod,api,etcd,certificates,host,config" doc:"where the text comes from"`
	Match   *Expression `yaml:"match" required:"true" doc:"a regular expression (RE2) that finds it"`
	Example string      `yaml:"example" required:"true" doc:"a text that it finds"`
}

// An Expression is a regular expression (RE2) that was compiled when the data were read.
type Expression struct{ *regexp.Regexp }

// UnmarshalText compiles the text.
func (e *Expression) UnmarshalText(text []byte) (err error) {
	e.Regexp, err = regexp.Compile(string(text))
	return err
}

// Failures returns everything that is known to go wrong.
func (b *Base) Failures() []Failure { return slices.Clone(b.all.Failures) }

// Recognise returns the failures that a text from this place shows, on the way to a target minor (zero: any), each with
// the part of the text that shows it.
func (b *Base) Recognise(in Place, text string, target Minor) []Sighting {
	var list []Sighting
	for _, f := range b.all.Failures {
		if target != 0 && !f.Minors.Holds(target) {
			continue
		}
		if part, ok := f.find(in, text); ok {
			list = append(list, Sighting{f, part})
		}
	}
	return list
}

// A Sighting is a failure and what it was recognised by.
type Sighting struct {
	Failure Failure
	Text    string // the part of the text that a pattern matched
}

// find returns what the first pattern that matches finds.
func (f Failure) find(in Place, text string) (string, bool) {
	for _, p := range f.Patterns {
		if p.In != in {
			continue
		}
		if at := p.Match.FindStringIndex(text); at != nil {
			return text[at[0]:at[1]], true
		}
	}
	return "", false
}
