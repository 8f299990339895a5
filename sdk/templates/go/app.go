// Summarises a column of numbers in a CSV file.
package main

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"posemesh"
)

var runner = posemesh.Runner{
	Name:         "my-runner",
	Version:      "0.1.0",
	Summary:      "Summarises a column of numbers in a CSV file.",
	Capabilities: []string{"/example/my-runner/v1"},
	MemoryMiB:    128,
	Run:          summarise,
}

type summary struct {
	Rows int     `json:"rows"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

func summarise(task *posemesh.Task) error {
	var params struct {
		Column string `json:"column"`
	}
	if err := task.Params(&params); err != nil {
		return err
	}
	if params.Column == "" {
		return posemesh.Errorf(posemesh.InvalidTask, "the task's meta has no column")
	}
	part, err := task.OnlyPart()
	if err != nil {
		return err
	}
	defer part.Close()

	found := summary{Min: math.Inf(1), Max: math.Inf(-1)}
	number, column := 0, -1
	for line, err := range part.Lines() {
		if err != nil {
			return err
		}
		number++
		fields := strings.Split(line, ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if number == 1 {
			column = slices.Index(fields, params.Column)
			if column < 0 {
				return posemesh.Errorf(posemesh.InvalidInput, "line 1: there is no column %s, but %s", params.Column, line)
			}
			continue
		}
		field := "nothing"
		if column < len(fields) {
			field = fields[column]
		}
		value, err := strconv.ParseFloat(field, 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return posemesh.Errorf(posemesh.InvalidInput, "line %d: %s in %s is no number", number, field, params.Column)
		}
		found.Rows++
		found.Min = min(found.Min, value)
		found.Max = max(found.Max, value)
		found.Mean += (value - found.Mean) / float64(found.Rows)
		if number%1000 == 0 {
			// An error when the task is being stopped.
			if err := task.Progress(part.Done(), "reading"); err != nil {
				return err
			}
		}
	}
	if found.Rows == 0 {
		return posemesh.Errorf(posemesh.InvalidInput, "there is no line after the header")
	}
	_, err = task.WriteJSON("summary.json", found)
	return err
}
