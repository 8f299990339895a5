// Package export_posemesh_runner_entry is what the generated exports call; package component sets it.
package export_posemesh_runner_entry

import (
	"posemesh/internal/bindings/posemesh_runner_entry"
	witTypes "posemesh/internal/wit/types"
)

// Describe is the export of that name.
var Describe func() posemesh_runner_entry.Description

// Run is the export of that name.
var Run func(posemesh_runner_entry.Task) witTypes.Result[witTypes.Unit, posemesh_runner_entry.Error]
