package posemesh

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"time"
)

// Progress is told in steps of this size, and at each new stage.
const step = 0.005

// Task is one unit of work that the node has leased from the job server. What the submitter did not give is empty.
type Task struct {
	ID            string
	JobID         string
	DomainID      string
	Capability    string
	OutputsPrefix string
	Label         string
	Stage         string
	// CapabilityFilters and Meta are JSON, and `null` without any.
	CapabilityFilters json.RawMessage
	Meta              json.RawMessage
	// Inputs are CIDs, for Parts and PartsOf.
	Inputs      []string
	Attempts    uint32
	MaxAttempts uint32

	host      Host
	told      float64
	toldStage string
}

// On is the task, on a node. It is for the packages component and postest.
func (t Task) On(host Host) *Task {
	t.host = host
	t.told = -1
	return &t
}

// Params reads the task's parameters into a struct with json tags. Parameters of another type are InvalidTask.
func (t *Task) Params(into any) error {
	if err := json.Unmarshal(t.Meta, into); err != nil {
		return Errorf(InvalidTask, "the task's meta: %w", err)
	}
	return nil
}

// Parts are those of every input, each opened when its turn comes.
func (t *Task) Parts() iter.Seq2[*Part, error] {
	return func(yield func(*Part, error) bool) {
		for _, cid := range t.Inputs {
			for part, err := range t.PartsOf(cid) {
				if !yield(part, err) || err != nil {
					return
				}
			}
		}
	}
}

// PartsOf are the parts of one CID. An error is the last.
func (t *Task) PartsOf(cid string) iter.Seq2[*Part, error] {
	return func(yield func(*Part, error) bool) {
		input, err := t.host.Open(cid)
		if err != nil {
			yield(nil, err)
			return
		}
		defer input.Drop()
		for {
			part, err := input.NextPart()
			if err != nil {
				yield(nil, err)
				return
			}
			if part == nil || !yield(newPart(part), nil) {
				return
			}
		}
	}
}

// OnlyPart is the only part of the only input.
func (t *Task) OnlyPart() (*Part, error) {
	if len(t.Inputs) != 1 {
		return nil, Errorf(InvalidTask, "the task has %d inputs; it takes one", len(t.Inputs))
	}
	var only *Part
	for part, err := range t.Parts() {
		if err != nil {
			return nil, err
		}
		if only != nil {
			return nil, Errorf(InvalidInput, "the input has several parts; it takes one")
		}
		only = part
	}
	if only == nil {
		return nil, Errorf(InvalidInput, "the input has no part")
	}
	return only, nil
}

// Create starts an artifact at a relative path, whose extension says which kind of data it is. Its Finish stores it.
func (t *Task) Create(path string, options Options) (*Artifact, error) {
	host, err := t.host.Create(path, options)
	if err != nil {
		return nil, err
	}
	return &Artifact{host: host}, nil
}

// Write stores bytes that are at hand.
func (t *Task) Write(path string, data []byte) (Stored, error) {
	artifact, err := t.Create(path, Options{SizeHint: uint64(len(data))})
	if err != nil {
		return Stored{}, err
	}
	if _, err := artifact.Write(data); err != nil {
		artifact.Abort()
		return Stored{}, err
	}
	return artifact.Finish()
}

// WriteJSON stores a value as JSON.
func (t *Task) WriteJSON(path string, value any) (Stored, error) {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return Stored{}, fmt.Errorf("writing %s: %w", path, err)
	}
	return t.Write(path, append(data, '\n'))
}

// Progress says how far the task is, from 0 to 1, when that has changed enough. Its error says that the task is being stopped.
func (t *Task) Progress(fraction float64, stage string) error {
	// What is no number is 0.
	if !(fraction > 0) {
		fraction = 0
	}
	fraction = math.Min(fraction, 1)
	isLast := fraction == 1 && t.told != 1
	if t.told < 0 || stage != t.toldStage || isLast || math.Abs(fraction-t.told) >= step {
		t.told, t.toldStage = fraction, stage
		told, err := json.Marshal(map[string]any{"progress": fraction, "stage": stage})
		if err == nil {
			t.host.Progress(string(told))
		}
	}
	return t.CheckCancelled()
}

// CheckCancelled returns an error when the task is being stopped.
func (t *Task) CheckCancelled() error {
	if t.host.IsCancelled() {
		return Errorf(Cancelled, "the task was cancelled")
	}
	return nil
}

// Sleep waits; its error says that the task is being stopped meanwhile.
func (t *Task) Sleep(duration time.Duration) error {
	if t.host.WaitCancelled(uint64(max(duration.Milliseconds(), 0))) {
		return Errorf(Cancelled, "the task was cancelled")
	}
	return nil
}

// Event adds an event to the task's record at the job server; false when it was not taken, which is no reason to fail.
func (t *Task) Event(event any) bool {
	told, err := json.Marshal(event)
	return err == nil && t.host.LogEvent(string(told))
}

// Logf writes a line to the node's log.
func (t *Task) Logf(level Level, format string, arguments ...any) {
	t.host.Log(level, fmt.Sprintf(format, arguments...))
}

// Budget is what this task may use.
func (t *Task) Budget() Budget { return t.host.Budget() }
