//go:build !wasip1

// Package component exports a runner. Natively, where tests run, there is nothing to export it to.
package component

import "posemesh"

// Export makes a runner that of this component.
func Export(posemesh.Runner) {}
