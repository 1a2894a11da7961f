package inquiry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/inquiry/inquirytest"
	"upgrader.dev/upgrader/steps/remote"
)

// A question that fails, ends early or complains takes no other with it, and each finds what the base has found out and
// its own variables.
func TestQuestionsAreAskedApart(t *testing.T) {
	script := inquiry.Script(
		inquiry.Question{Text: "section host\nseen=$NAME\necho \"name $seen\"\necho above >&2", Env: map[string]string{"NAME": "w1"}},
		inquiry.Question{Name: "fails", Text: "section begun\nseen=lost\necho no >&2\nfalse\necho not reached"},
		inquiry.Question{Name: "ends", Text: "section $WORD \"a b\"\necho \"$seen\"\nprintf '== host\\nuser 0\\n' | bar\nexit 3", Env: map[string]string{"WORD": "last"}},
		inquiry.Question{Name: "silent"},
	)
	want := inquiry.Answers{
		Base: []inquiry.Section{{Name: "host", Answers: []string{"name w1"}}},
		To: map[string]inquiry.Answer{
			"fails":  {Sections: []inquiry.Section{{Name: "begun"}}, Code: 1, Complaints: []string{"no"}},
			"ends":   {Sections: []inquiry.Section{{Name: "last", About: "a b", Answers: []string{"w1"}, Text: "== host\nuser 0\n"}}, Code: 3},
			"silent": {},
		},
	}
	if diff := cmp.Diff(want, inquiry.Read(inquirytest.Here(t, script, nil)), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// What hangs in a question is named among all that hangs, and is that question's complaint: by whatever status the timeout(1) of a
// host tells of it.
func TestWhatHangsInAQuestion(t *testing.T) {
	script := inquiry.Script(inquiry.Question{}, inquiry.Question{Name: "q", Text: "within 7 stuck there || section code $?"})
	const said = "stuck there has not answered for 7s"
	want := inquiry.Answers{Hung: []string{said}, To: map[string]inquiry.Answer{
		"q": {Sections: []inquiry.Section{{Name: "code", About: "124"}}, Complaints: []string{said}},
	}}
	for _, status := range []string{"124", "137", "143"} {
		got := inquiry.Read(inquirytest.Here(t, script, map[string]string{"timeout": "exit " + status}))
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", status, diff)
		}
	}
}

// A host without timeout(1) is asked too, and one that is well names nothing.
func TestWithoutATimeout(t *testing.T) {
	script := remote.Script{Text: "PATH=/nowhere\n" + inquiry.Patiently("within 8 echo here\nwithin 8 false || echo $?\n")}
	if stdout, stderr := inquirytest.Here(t, script, nil); stdout != "here\n1\n" || stderr != "" {
		t.Errorf("%q, %q", stdout, stderr)
	}
}
