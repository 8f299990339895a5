package posemesh

// Host is what this package needs of a node: package component has it from the contract, package postest from memory. Errors
// are of type [*Error]. Runners do not call it.
type Host interface {
	Open(cid string) (HostInput, error)
	Create(path string, options Options) (HostArtifact, error)
	Progress(json string)
	LogEvent(json string) bool
	Log(level Level, message string)
	IsCancelled() bool
	WaitCancelled(timeoutMs uint64) bool
	Budget() Budget
}

// HostInput is an opened CID.
type HostInput interface {
	// NextPart is nil after the last.
	NextPart() (HostPart, error)
	Drop()
}

// HostPart is one blob of an input.
type HostPart interface {
	Info() PartInfo
	// Read returns bytes that are the caller's, and none at the end alone.
	Read(maxBytes uint32) ([]byte, error)
	ReadAt(offset uint64, maxBytes uint32) ([]byte, error)
	Materialise() (string, error)
	Drop()
}

// HostArtifact is an artifact that is being written.
type HostArtifact interface {
	Write(bytes []byte) error
	Finish() (Stored, error)
	Drop()
}

// Level is that of a line of the log.
type Level uint8

const (
	Debug Level = iota
	Info
	Warn
	ErrorLevel
)

// Budget is what a task may use.
type Budget struct {
	MemoryBytes     uint64
	ScratchBytes    uint64
	OutputBytesLeft uint64
	TimeLeftMs      uint64
}
