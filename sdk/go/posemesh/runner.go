// Package posemesh is for writing capability runners for posemesh nodes in Go: a function of a task, inputs that are readers,
// artifacts that are writers, and errors that say whose fault a failure was. Package postest tests a runner without a node;
// package component exports it.
package posemesh

import "time"

// WITVersion is the version of the contract that runners are built against with this package.
const WITVersion = "0.2.0"

// Runner is what a runner says of itself, what it asks for beyond the node's defaults (zero is the default), and what it does.
type Runner struct {
	// Name has letters, digits, `-` and `_`.
	Name string
	// Version is semantic.
	Version string
	// Summary is one sentence.
	Summary string
	// Capabilities are as the job server writes them: "/example/count/v1".
	Capabilities []string
	// Run does one task. An error fails it.
	Run func(task *Task) error

	MemoryMiB  uint64
	Deadline   time.Duration
	CPUTime    time.Duration
	ScratchMiB uint64
	OutputMiB  uint64
	Artifacts  uint64
	// NetworkHosts, Environment and Directories are there only if the operator grants them.
	NetworkHosts []string
	Environment  []string
	Directories  []string
	// MetaSchema is a JSON Schema of the parameters.
	MetaSchema string
	Homepage   string
	License    string
}
