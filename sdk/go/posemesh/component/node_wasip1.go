package component

import (
	"strings"

	"posemesh"
	"posemesh/internal/bindings/posemesh_runner_control"
	"posemesh/internal/bindings/posemesh_runner_inputs"
	"posemesh/internal/bindings/posemesh_runner_outputs"
)

// The ports of the contract.
type node struct{}

// Text for the node: other bytes than UTF-8 would end the runner.
func utf8(text string) string { return strings.ToValidUTF8(text, "?") }

func (node) Open(cid string) (posemesh.HostInput, error) {
	safePoint(0)
	result := posemesh_runner_inputs.Open(utf8(cid))
	if result.IsErr() {
		return nil, refused(result.Err())
	}
	return input{result.Ok()}, nil
}

func (node) Create(path string, options posemesh.Options) (posemesh.HostArtifact, error) {
	safePoint(0)
	result := posemesh_runner_outputs.Create(utf8(path), posemesh_runner_outputs.ArtifactOptions{
		Name:       some(utf8(options.Name)),
		DataType:   some(utf8(options.DataType)),
		ExistingId: some(utf8(options.ExistingID)),
		SizeHint:   wanted(options.SizeHint),
	})
	if result.IsErr() {
		return nil, refused(result.Err())
	}
	return artifact{result.Ok()}, nil
}

func (node) Progress(json string) {
	safePoint(0)
	// What is not taken is no reason to fail.
	posemesh_runner_control.Progress(json)
}

func (node) LogEvent(json string) bool {
	safePoint(0)
	return posemesh_runner_control.LogEvent(json).IsOk()
}

func (node) Log(level posemesh.Level, message string) {
	posemesh_runner_control.Log(uint8(level), utf8(message))
}

func (node) IsCancelled() bool { return posemesh_runner_control.IsCancelled() }

func (node) WaitCancelled(timeoutMs uint64) bool { return posemesh_runner_control.WaitCancelled(timeoutMs) }

func (node) Budget() posemesh.Budget {
	found := posemesh_runner_control.GetBudget()
	return posemesh.Budget{
		MemoryBytes:     found.MemoryBytes,
		ScratchBytes:    found.ScratchBytes,
		OutputBytesLeft: found.OutputBytesLeft,
		TimeLeftMs:      found.TimeLeftMs,
	}
}

type input struct{ *posemesh_runner_inputs.Input }

func (i input) NextPart() (posemesh.HostPart, error) {
	safePoint(0)
	result := i.Input.NextPart()
	if result.IsErr() {
		return nil, refused(result.Err())
	}
	if next := result.Ok(); next.IsSome() {
		return part{next.Some()}, nil
	}
	return nil, nil
}

type part struct{ *posemesh_runner_inputs.Part }

func (p part) Info() posemesh.PartInfo {
	safePoint(0)
	found := p.Part.Info()
	return posemesh.PartInfo{
		DataID:   found.DataId,
		Name:     found.Name,
		DataType: found.DataType,
		Size:     found.Size,
		DomainID: found.DomainId,
	}
}

func (p part) Read(maxBytes uint32) ([]byte, error) {
	safePoint(uint64(maxBytes))
	result := p.Part.Read(maxBytes)
	if result.IsErr() {
		return nil, refused(result.Err())
	}
	return result.Ok(), nil
}

func (p part) ReadAt(offset uint64, maxBytes uint32) ([]byte, error) {
	safePoint(uint64(maxBytes))
	result := p.Part.ReadAt(offset, maxBytes)
	if result.IsErr() {
		return nil, refused(result.Err())
	}
	return result.Ok(), nil
}

func (p part) Materialise() (string, error) {
	safePoint(0)
	result := p.Part.Materialise()
	if result.IsErr() {
		return "", refused(result.Err())
	}
	return result.Ok(), nil
}

type artifact struct{ *posemesh_runner_outputs.Artifact }

func (a artifact) Write(bytes []byte) error {
	safePoint(0)
	result := a.Artifact.Write(bytes)
	if result.IsErr() {
		return refused(result.Err())
	}
	return nil
}

func (a artifact) Finish() (posemesh.Stored, error) {
	safePoint(0)
	result := a.Artifact.Finish()
	if result.IsErr() {
		return posemesh.Stored{}, refused(result.Err())
	}
	stored := result.Ok()
	return posemesh.Stored{
		LogicalPath: stored.LogicalPath,
		Name:        stored.Name,
		DataType:    stored.DataType,
		ID:          stored.Id.SomeOr(""),
		Size:        stored.Size,
	}, nil
}
