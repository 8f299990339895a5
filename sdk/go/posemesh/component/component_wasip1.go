// Package component exports a runner.
package component

import (
	"strings"

	"posemesh"
	// The exports.
	_ "posemesh/internal/bindings"
	"posemesh/internal/bindings/export_posemesh_runner_entry"
	entry "posemesh/internal/bindings/posemesh_runner_entry"
	types "posemesh/internal/bindings/posemesh_runner_types"
	witTypes "posemesh/internal/wit/types"
)

// Export makes a runner that of this component.
func Export(runner posemesh.Runner) {
	export_posemesh_runner_entry.Describe = func() entry.Description { return description(&runner) }
	export_posemesh_runner_entry.Run = func(given entry.Task) witTypes.Result[witTypes.Unit, entry.Error] {
		if err := runner.Run(task(given)); err != nil {
			return witTypes.Err[witTypes.Unit](failure(err))
		}
		return witTypes.Ok[witTypes.Unit, entry.Error](witTypes.Unit{})
	}
}

func task(given entry.Task) *posemesh.Task {
	text := func(option witTypes.Option[string]) string { return option.SomeOr("") }
	return posemesh.Task{
		ID:                given.Id,
		JobID:             text(given.JobId),
		DomainID:          text(given.DomainId),
		Capability:        given.Capability,
		OutputsPrefix:     text(given.OutputsPrefix),
		Label:             text(given.Label),
		Stage:             text(given.Stage),
		CapabilityFilters: []byte(given.CapabilityFilters),
		Meta:              []byte(given.Meta),
		Inputs:            given.InputsCids,
		Attempts:          given.Attempts.SomeOr(0),
		MaxAttempts:       given.MaxAttempts.SomeOr(0),
	}.On(node{})
}

func description(of *posemesh.Runner) entry.Description {
	return entry.Description{
		Name:         of.Name,
		Version:      of.Version,
		Summary:      of.Summary,
		Capabilities: of.Capabilities,
		Requests: types.Requests{
			MemoryBytes:  wanted(of.MemoryMiB << 20),
			DeadlineMs:   wanted(uint64(of.Deadline.Milliseconds())),
			CpuTimeMs:    wanted(uint64(of.CPUTime.Milliseconds())),
			ScratchBytes: wanted(of.ScratchMiB << 20),
			OutputBytes:  wanted(of.OutputMiB << 20),
			Artifacts:    wanted(of.Artifacts),
			NetworkHosts: of.NetworkHosts,
			Environment:  of.Environment,
			Directories:  of.Directories,
		},
		MetaSchema: some(of.MetaSchema),
		Homepage:   some(of.Homepage),
		License:    some(of.License),
	}
}

func wanted(value uint64) witTypes.Option[uint64] {
	if value == 0 {
		return witTypes.None[uint64]()
	}
	return witTypes.Some(value)
}

func some(text string) witTypes.Option[string] {
	if text == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(text)
}

// The contract's error, of one of ours.
func failure(err error) entry.Error {
	text := strings.ToValidUTF8(err.Error(), "?")
	switch posemesh.CaseOf(err) {
	case posemesh.InvalidTask:
		return types.MakeErrorInvalidTask(text)
	case posemesh.InvalidInput:
		return types.MakeErrorInvalidInput(text)
	case posemesh.NotFound:
		return types.MakeErrorNotFound(text)
	case posemesh.InvalidCall:
		return types.MakeErrorInvalidCall(text)
	case posemesh.Denied:
		return types.MakeErrorDenied(text)
	case posemesh.Limit:
		return types.MakeErrorLimit(text)
	case posemesh.Corrupt:
		return types.MakeErrorCorrupt(text)
	case posemesh.Unavailable:
		return types.MakeErrorUnavailable(text)
	case posemesh.Cancelled:
		return types.MakeErrorCancelled()
	case posemesh.PortFailed:
		return types.MakeErrorPortFailed(text)
	default:
		return types.MakeErrorFailed(text)
	}
}

// One of our errors, of the contract's.
func refused(err types.Error) error {
	kind := posemesh.Case(err.Tag())
	text := "the task was cancelled"
	switch kind {
	case posemesh.InvalidTask:
		text = err.InvalidTask()
	case posemesh.InvalidInput:
		text = err.InvalidInput()
	case posemesh.Failed:
		text = err.Failed()
	case posemesh.NotFound:
		text = err.NotFound()
	case posemesh.InvalidCall:
		text = err.InvalidCall()
	case posemesh.Denied:
		text = err.Denied()
	case posemesh.Limit:
		text = err.Limit()
	case posemesh.Corrupt:
		text = err.Corrupt()
	case posemesh.Unavailable:
		text = err.Unavailable()
	case posemesh.PortFailed:
		text = err.PortFailed()
	}
	return &posemesh.Error{Case: kind, Text: text}
}
