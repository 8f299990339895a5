// Makes a height map of a scan, with contours and a preview.
package main

import (
	"io"
	"math"

	"posemesh"
)

var runner = posemesh.Runner{
	Name:         "heightmap",
	Version:      "0.1.0",
	Summary:      "Makes a height map of a scan, with contours and a preview.",
	Capabilities: []string{"/posemesh/heightmap/v1"},
	MemoryMiB:    512,
	MetaSchema:   schema,
	License:      "MIT OR Apache-2.0",
	Run:          run,
}

type summary struct {
	Format   string  `json:"format"`
	Points   int     `json:"points"`
	Skipped  int     `json:"skipped_points"`
	CellSize float64 `json:"cell_size"`
	Columns  int     `json:"columns"`
	Rows     int     `json:"rows"`
	// Cells with points, those that were filled, and those that are empty still.
	Cells    int       `json:"cells"`
	Filled   int       `json:"filled_cells"`
	Empty    int       `json:"empty_cells"`
	West     float64   `json:"west"`
	South    float64   `json:"south"`
	Heights  [2]number `json:"heights"`
	Contours int       `json:"contours"`
}

func run(task *posemesh.Task) error {
	params, err := paramsOf(task)
	if err != nil {
		return err
	}
	start := 0.0
	if params.CellSize == 0 {
		// Once more than otherwise: the size follows from the bounds.
		bounds := bounds{least: [2]float64{math.Inf(1), math.Inf(1)}, greatest: [2]float64{math.Inf(-1), math.Inf(-1)}}
		if _, err := read(task, params.Up, 0, 0.35, bounds.add); err != nil {
			return err
		}
		params.CellSize = niceSize(max(bounds.greatest[0]-bounds.least[0], bounds.greatest[1]-bounds.least[1]))
		start = 0.35
	}
	tiles := newTiles(params.CellSize, params.Statistic)
	told, err := read(task, params.Up, start, 0.7, tiles.add)
	if err != nil {
		return err
	}
	grid := tiles.grid()
	_, _, told.Cells = grid.heights()
	err = grid.fill(params.Fill, func(share float64) error { return task.Progress(0.7+0.05*share, "filling") })
	if err != nil {
		return err
	}
	least, greatest, count := grid.heights()
	told.CellSize, told.Columns, told.Rows = grid.size, grid.width, grid.height
	told.Filled, told.Empty = grid.filled, grid.width*grid.height-count
	told.West, told.South = grid.west, grid.south
	told.Heights = [2]number{number(least), number(greatest)}
	if params.ContourInterval > 0 {
		found, err := contours(grid, params.ContourInterval, func(share float64) error {
			return task.Progress(0.75+0.05*share, "contours")
		})
		if err != nil {
			return err
		}
		told.Contours = len(found)
		if err := writeContours(task, found, params.ContourInterval); err != nil {
			return err
		}
	}
	if err := writeGrid(task, grid, least); err != nil {
		return err
	}
	if err := writePreview(task, grid, least, greatest); err != nil {
		return err
	}
	if _, err := task.WriteJSON("summary.json", told); err != nil {
		return err
	}
	return task.Progress(1, "writing")
}

// Reads all points, and gives each away as east, north and height.
func read(task *posemesh.Task, up string, from, to float64, add func(east, north, height float64, where func() string) error) (summary, error) {
	told := summary{}
	part, err := task.OnlyPart()
	if err != nil {
		return told, err
	}
	defer part.Close()
	points, err := pointsOf(part)
	if err != nil {
		return told, err
	}
	told.Format = points.format()
	where := func() string { return points.where() + " of " + part.Name }
	for {
		found, err := points.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return told, err
		}
		if (told.Points+told.Skipped)%step == 0 {
			if err := task.Progress(from+(to-from)*part.Done(), "reading"); err != nil {
				return told, err
			}
		}
		// What a scanner has not seen.
		if !isFinite(found.x) || !isFinite(found.y) || !isFinite(found.z) {
			told.Skipped++
			continue
		}
		told.Points++
		// Seen from above, with y up, z points to the viewer: to the south.
		east, north, height := found.x, -found.z, found.y
		if up == "z" {
			east, north, height = found.x, found.y, found.z
		}
		if math.Abs(height) > math.MaxFloat32 {
			return told, posemesh.Errorf(posemesh.InvalidInput, "%s: the height %g is out of range", where(), height)
		}
		if err := add(east, north, height, where); err != nil {
			return told, err
		}
	}
	if told.Points == 0 {
		return told, posemesh.Errorf(posemesh.InvalidInput, "%s has no points; %d have no position", part.Name, told.Skipped)
	}
	return told, nil
}

// Where points are.
type bounds struct{ least, greatest [2]float64 }

func (b *bounds) add(east, north, _ float64, _ func() string) error {
	for axis, place := range []float64{east, north} {
		b.least[axis], b.greatest[axis] = min(b.least[axis], place), max(b.greatest[axis], place)
	}
	return nil
}
