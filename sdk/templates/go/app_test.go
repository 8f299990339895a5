package main

import (
	"testing"

	"posemesh"
	"posemesh/postest"
)

func run(csv string, fails error) postest.Outcome {
	return postest.Run(runner, postest.Test{
		Inputs: []postest.Input{{CID: "points.csv", Data: csv, Fails: fails}},
		Meta:   map[string]string{"column": "height"},
	})
}

func TestAColumnIsSummarised(t *testing.T) {
	outcome := run("name,height\na,1\nb,4\nc,1\n", nil)
	if outcome.Err != nil {
		t.Fatal(outcome.Err)
	}
	want := "{\n  \"rows\": 3,\n  \"min\": 1,\n  \"max\": 4,\n  \"mean\": 2\n}\n"
	if got := string(outcome.Artifacts["summary.json"]); got != want {
		t.Errorf("summary.json is %s", got)
	}
}

func TestWhatIsWrongIsSaidWithItsLine(t *testing.T) {
	err := run("height\n1\nhigh\n", nil).Err
	if posemesh.CaseOf(err) != posemesh.InvalidInput || err.Error() != "line 3: high in height is no number" {
		t.Errorf("%v: %v", posemesh.CaseOf(err), err)
	}
}

func TestADownloadThatBreaksOffIsNotTheInputsFault(t *testing.T) {
	err := run("height\n1\n2\n", posemesh.Errorf(posemesh.Unavailable, "the domain server answers 503")).Err
	if posemesh.CaseOf(err) != posemesh.Unavailable || err.Error() != "the domain server answers 503" {
		t.Errorf("%v: %v", posemesh.CaseOf(err), err)
	}
}
