package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"posemesh"
)

// The JSON Schema of the parameters.
const schema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "cell_size": {"description": "The side of a cell, in the scan's units; without it some 256 cells along the longest side", "type": "number", "minimum": 1e-9, "maximum": 1e9},
    "up": {"enum": ["y", "z"], "default": "y"},
    "statistic": {"description": "Which height of a cell's points counts", "enum": ["max", "min", "mean"], "default": "max"},
    "fill": {"description": "How many cells far holes are filled from their edges", "type": "integer", "minimum": 0, "maximum": 64, "default": 0},
    "contour_interval": {"description": "The distance of contours in height; none without it", "type": "number", "minimum": 1e-9, "maximum": 1e9}
  }
}`

// What a size can be, in the scan's units.
const (
	leastSize    = 1e-9
	greatestSize = 1e9
	greatestFill = 64
)

// What a task asks for. Sizes that it does not give are zero.
type params struct {
	CellSize        float64
	Up              string
	Statistic       string
	Fill            int
	ContourInterval float64
}

// The meta as it is written: a number is told with its digits if it is none that can be used.
type meta struct {
	CellSize        json.RawMessage `json:"cell_size"`
	Up              string          `json:"up"`
	Statistic       string          `json:"statistic"`
	Fill            json.RawMessage `json:"fill"`
	ContourInterval json.RawMessage `json:"contour_interval"`
}

func paramsOf(task *posemesh.Task) (params, error) {
	given := meta{Up: "y", Statistic: "max"}
	reader := json.NewDecoder(bytes.NewReader(task.Meta))
	// A mistake of the submitter, who would wonder about the result.
	reader.DisallowUnknownFields()
	if err := reader.Decode(&given); err != nil {
		return params{}, posemesh.Errorf(posemesh.InvalidTask, "the task's meta: %w", err)
	}
	found := params{Up: given.Up, Statistic: given.Statistic}
	switch {
	case found.Up != "y" && found.Up != "z":
		return found, posemesh.Errorf(posemesh.InvalidTask, "up is %q; it can be y or z", found.Up)
	case found.Statistic != "max" && found.Statistic != "min" && found.Statistic != "mean":
		return found, posemesh.Errorf(posemesh.InvalidTask, "statistic is %q; it can be max, min or mean", found.Statistic)
	}
	fill, err := numberIn("fill", given.Fill, 0, greatestFill)
	if err == nil && fill != math.Trunc(fill) {
		err = outside("fill", given.Fill, 0, greatestFill)
	}
	found.Fill = int(fill)
	if err == nil {
		found.CellSize, err = numberIn("cell_size", given.CellSize, leastSize, greatestSize)
	}
	if err == nil {
		found.ContourInterval, err = numberIn("contour_interval", given.ContourInterval, leastSize, greatestSize)
	}
	return found, err
}

// A number within a range; zero if none was given.
func numberIn(name string, given json.RawMessage, least, greatest float64) (float64, error) {
	if given == nil || string(given) == "null" {
		return 0, nil
	}
	// What it has parsed is JSON, and of that only numbers parse here: one that is too large is infinite.
	value, err := strconv.ParseFloat(string(given), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || !(value >= least && value <= greatest) {
		return 0, outside(name, given, least, greatest)
	}
	return value, nil
}

func outside(name string, given json.RawMessage, least, greatest float64) error {
	kind := "number"
	if name == "fill" {
		kind = "whole number"
	}
	return posemesh.Errorf(posemesh.InvalidTask, "%s is %s; it can be a %s from %g to %g", name, shown(given), kind, least, greatest)
}
