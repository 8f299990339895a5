package main

import "posemesh/component"

func init() { component.Export(runner) }

// Never called: a component is called by its exports.
func main() {}
