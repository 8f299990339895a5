// Package postest tests runners without a component, a node or a network: the node is in memory.
package postest

import (
	"encoding/json"
	"fmt"
	"strings"

	"posemesh"
)

// Input is a part of an input. Several with the same CID, one after the other, are the parts of one input.
type Input struct {
	CID string
	// Name is the CID without one.
	Name string
	Data string
	// Fails is the error that reading it ends with before its last byte; nil reads it all.
	Fails error
}

// Test is a task.
type Test struct {
	Inputs []Input
	// Meta is marshalled; nil is none.
	Meta any
	// Capability is the runner's first without one.
	Capability string
	// CancelAt cancels the task once so much progress was told; 0 is never.
	CancelAt float64
}

// Outcome is how a task ended, and what is left of it.
type Outcome struct {
	// Err is nil when the task is completed.
	Err       error
	Artifacts map[string][]byte
	Progress  []string
	Events    []string
	Log       []string
}

// Run runs a runner.
func Run(runner posemesh.Runner, test Test) Outcome {
	meta, err := json.Marshal(test.Meta)
	if err != nil {
		return Outcome{Err: fmt.Errorf("the test's meta: %w", err)}
	}
	node := &node{test: &test, outcome: Outcome{Artifacts: map[string][]byte{}}}
	task := posemesh.Task{
		ID:                "00000000-0000-0000-0000-000000000000",
		Capability:        test.Capability,
		CapabilityFilters: []byte("null"),
		Meta:              meta,
	}
	if task.Capability == "" {
		task.Capability = runner.Capabilities[0]
	}
	for _, input := range test.Inputs {
		if count := len(task.Inputs); count == 0 || task.Inputs[count-1] != input.CID {
			task.Inputs = append(task.Inputs, input.CID)
		}
	}
	node.outcome.Err = runner.Run(task.On(node))
	return node.outcome
}

type node struct {
	test        *Test
	outcome     Outcome
	isCancelled bool
}

func (n *node) Open(cid string) (posemesh.HostInput, error) {
	found := &input{}
	for _, part := range n.test.Inputs {
		if part.CID == cid {
			found.parts = append(found.parts, part)
		}
	}
	if len(found.parts) == 0 {
		return nil, posemesh.Errorf(posemesh.NotFound, "there is no input %s", cid)
	}
	return found, nil
}

func (n *node) Create(path string, _ posemesh.Options) (posemesh.HostArtifact, error) {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." {
			return nil, posemesh.Errorf(posemesh.InvalidCall, "an artifact can't have the path %s", path)
		}
	}
	return &artifact{node: n, path: path}, nil
}

func (n *node) Progress(told string) {
	n.outcome.Progress = append(n.outcome.Progress, told)
	var value struct{ Progress float64 }
	if json.Unmarshal([]byte(told), &value) == nil && n.test.CancelAt > 0 && value.Progress >= n.test.CancelAt {
		n.isCancelled = true
	}
}

func (n *node) LogEvent(event string) bool {
	n.outcome.Events = append(n.outcome.Events, event)
	return true
}

func (n *node) Log(_ posemesh.Level, message string) { n.outcome.Log = append(n.outcome.Log, message) }

func (n *node) IsCancelled() bool { return n.isCancelled }

// WaitCancelled does not wait: a test of a runner that sleeps need not take as long.
func (n *node) WaitCancelled(uint64) bool { return n.isCancelled }

func (n *node) Budget() posemesh.Budget {
	return posemesh.Budget{MemoryBytes: 1 << 29, ScratchBytes: 1 << 32, OutputBytesLeft: 1 << 34, TimeLeftMs: 600_000}
}

type input struct{ parts []Input }

func (i *input) NextPart() (posemesh.HostPart, error) {
	if len(i.parts) == 0 {
		return nil, nil
	}
	next := &part{Input: i.parts[0]}
	i.parts = i.parts[1:]
	return next, nil
}

func (i *input) Drop() {}

type part struct {
	Input
	at int
}

func (p *part) Info() posemesh.PartInfo {
	name := p.Name
	if name == "" {
		name = p.CID
	}
	return posemesh.PartInfo{Name: name, DataType: name[strings.LastIndex(name, ".")+1:], Size: uint64(len(p.Data))}
}

func (p *part) Read(maxBytes uint32) ([]byte, error) {
	end := len(p.Data)
	if p.Fails != nil {
		end = max(end-1, 0)
		if p.at == end {
			return nil, p.Fails
		}
	}
	from := p.at
	p.at = min(p.at+int(maxBytes), end)
	return []byte(p.Data[from:p.at]), nil
}

func (p *part) ReadAt(offset uint64, maxBytes uint32) ([]byte, error) {
	from := min(offset, uint64(len(p.Data)))
	return []byte(p.Data[from:min(from+uint64(maxBytes), uint64(len(p.Data)))]), nil
}

func (p *part) Materialise() (string, error) {
	return "", posemesh.Errorf(posemesh.PortFailed, "a test has no files: stream %s", p.CID)
}

func (p *part) Drop() {}

type artifact struct {
	node *node
	path string
	data []byte
}

func (a *artifact) Write(data []byte) error {
	a.data = append(a.data, data...)
	return nil
}

func (a *artifact) Finish() (posemesh.Stored, error) {
	a.node.outcome.Artifacts[a.path] = a.data
	return posemesh.Stored{LogicalPath: a.path, Name: a.path, Size: uint64(len(a.data))}, nil
}

func (a *artifact) Drop() {}
