package main

import (
	"bytes"
	"encoding/json"
	"math"

	"posemesh"
)

// The JSON Schema of the parameters.
const schema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "cell_size": {"description": "The side of a cell, in the scan's units; without it some 256 cells along the longest side", "type": "number", "exclusiveMinimum": 0},
    "up": {"enum": ["y", "z"], "default": "y"},
    "statistic": {"description": "Which height of a cell's points counts", "enum": ["max", "min", "mean"], "default": "max"},
    "fill": {"description": "How many cells far holes are filled from their edges", "type": "integer", "minimum": 0, "maximum": 64, "default": 0},
    "contour_interval": {"description": "The distance of contours in height; none without it", "type": "number", "exclusiveMinimum": 0}
  }
}`

// What a task asks for. Zero is what the schema calls the default.
type params struct {
	CellSize        float64 `json:"cell_size"`
	Up              string  `json:"up"`
	Statistic       string  `json:"statistic"`
	Fill            int     `json:"fill"`
	ContourInterval float64 `json:"contour_interval"`
}

func paramsOf(task *posemesh.Task) (params, error) {
	found := params{Up: "y", Statistic: "max"}
	reader := json.NewDecoder(bytes.NewReader(task.Meta))
	// A mistake of the submitter, who would wonder about the result.
	reader.DisallowUnknownFields()
	if err := reader.Decode(&found); err != nil {
		return found, posemesh.Errorf(posemesh.InvalidTask, "the task's meta: %w", err)
	}
	refuse := func(format string, arguments ...any) (params, error) {
		return found, posemesh.Errorf(posemesh.InvalidTask, format, arguments...)
	}
	switch {
	case found.Up != "y" && found.Up != "z":
		return refuse("up is %q; it can be y or z", found.Up)
	case found.Statistic != "max" && found.Statistic != "min" && found.Statistic != "mean":
		return refuse("statistic is %q; it can be max, min or mean", found.Statistic)
	case found.Fill < 0 || found.Fill > 64:
		return refuse("fill is %d; it can be from 0 to 64", found.Fill)
	case !isSize(found.CellSize):
		return refuse("cell_size is %v; it is a positive number", found.CellSize)
	case !isSize(found.ContourInterval):
		return refuse("contour_interval is %v; it is a positive number", found.ContourInterval)
	}
	return found, nil
}

// Whether a number is a size, or was not given.
func isSize(value float64) bool {
	return value == 0 || value >= 1e-9 && value <= 1e9 && !math.IsNaN(value)
}
