// Reads its input.
package main

import (
	"io"

	"posemesh"
)

var runner = posemesh.Runner{
	Name:         "reading",
	Version:      "0.1.0",
	Summary:      "Reads its input.",
	Capabilities: []string{"/example/reading/v1"},
	MemoryMiB:    128,
	Run:          reads,
}

func reads(task *posemesh.Task) error {
	part, err := task.OnlyPart()
	if err != nil {
		return err
	}
	defer part.Close()
	chunk, bytes := make([]byte, 1<<20), 0
	for {
		count, err := part.Read(chunk)
		bytes += count
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err = task.WriteJSON("bytes.json", map[string]int{"bytes": bytes})
	return err
}
