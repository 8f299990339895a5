package main

import (
	"math"

	"posemesh"
)

// Cells of a tile, along each side. Tiles are made where points are, since nobody knows before where that is.
const tileSide = 64

// Tiles that are held: 48 KiB each.
const maxTiles = 3000

// Cells of a grid that is written.
const maxCells = 16 << 20

type tile struct {
	value [tileSide * tileSide]float64
	count [tileSide * tileSide]uint32
}

// Heights by cells, wherever they are.
type tiles struct {
	size      float64
	statistic string
	found     map[[2]int64]*tile
	// Of the cells that have points.
	least, greatest [2]int64
	last            *tile
	lastAt          [2]int64
}

func newTiles(size float64, statistic string) *tiles {
	return &tiles{
		size: size, statistic: statistic, found: map[[2]int64]*tile{},
		least:    [2]int64{math.MaxInt64, math.MaxInt64},
		greatest: [2]int64{math.MinInt64, math.MinInt64},
	}
}

// Adds a point; `where` says where it is, for an error.
func (t *tiles) add(east, north, height float64, where func() string) error {
	cell := [2]int64{}
	for axis, place := range []float64{east, north} {
		place = math.Floor(place / t.size)
		if math.Abs(place) > 1<<40 {
			return posemesh.Errorf(posemesh.InvalidInput, "%s: a coordinate is too far away for cells of %g", where(), t.size)
		}
		cell[axis] = int64(place)
		t.least[axis], t.greatest[axis] = min(t.least[axis], cell[axis]), max(t.greatest[axis], cell[axis])
	}
	width, height2 := t.greatest[0]-t.least[0]+1, t.greatest[1]-t.least[1]+1
	if width > maxCells || height2 > maxCells || width*height2 > maxCells {
		return posemesh.Errorf(posemesh.InvalidInput,
			"%s: with this point the grid has %d by %d cells of %g; at most %d are made. Is it an outlier, or cell_size too small?",
			where(), width, height2, t.size, maxCells)
	}
	at := [2]int64{cell[0] >> 6, cell[1] >> 6}
	if t.last == nil || at != t.lastAt {
		there := t.found[at]
		if there == nil {
			if len(t.found) == maxTiles {
				return posemesh.Errorf(posemesh.InvalidInput,
					"%s: the points are in more than %d cells of %g; the task can ask for a larger cell_size",
					where(), maxTiles*tileSide*tileSide, t.size)
			}
			there = new(tile)
			t.found[at] = there
		}
		t.last, t.lastAt = there, at
	}
	place := (cell[1]&(tileSide-1))*tileSide + cell[0]&(tileSide-1)
	value, count := &t.last.value[place], &t.last.count[place]
	*count++
	switch {
	case *count == 1:
		*value = height
	case t.statistic == "max":
		*value = max(*value, height)
	case t.statistic == "min":
		*value = min(*value, height)
	default:
		*value += (height - *value) / float64(*count)
	}
	return nil
}

// A grid of heights, from the north-west on; NaN where there are none.
type grid struct {
	width, height int
	size          float64
	// The south-west corner.
	west, south float64
	cells       []float32
	filled      int
}

func (t *tiles) grid() *grid {
	g := &grid{
		width:  int(t.greatest[0] - t.least[0] + 1),
		height: int(t.greatest[1] - t.least[1] + 1),
		size:   t.size,
		west:   float64(t.least[0]) * t.size,
		south:  float64(t.least[1]) * t.size,
	}
	g.cells = make([]float32, g.width*g.height)
	nan := float32(math.NaN())
	for row := range g.height {
		north := t.greatest[1] - int64(row)
		for column := range g.width {
			east := t.least[0] + int64(column)
			value := nan
			if there := t.found[[2]int64{east >> 6, north >> 6}]; there != nil {
				place := (north&(tileSide-1))*tileSide + east&(tileSide-1)
				if there.count[place] > 0 {
					value = float32(there.value[place])
				}
			}
			g.cells[row*g.width+column] = value
		}
	}
	return g
}

func (g *grid) at(column, row int) float32 {
	if column < 0 || row < 0 || column >= g.width || row >= g.height {
		return float32(math.NaN())
	}
	return g.cells[row*g.width+column]
}

// Fills holes from their edges, one cell further each time: a cell with three neighbours at least gets their mean.
func (g *grid) fill(times int, goOn func(float64) error) error {
	for round := range times {
		if err := goOn(float64(round) / float64(times)); err != nil {
			return err
		}
		var places []int
		var values []float32
		for row := range g.height {
			for column := range g.width {
				if here := g.at(column, row); here == here {
					continue
				}
				sum, count := 0.0, 0
				for dy := -1; dy <= 1; dy++ {
					for dx := -1; dx <= 1; dx++ {
						if value := g.at(column+dx, row+dy); value == value {
							sum += float64(value)
							count++
						}
					}
				}
				if count >= 3 {
					places = append(places, row*g.width+column)
					values = append(values, float32(sum/float64(count)))
				}
			}
		}
		if len(places) == 0 {
			return nil
		}
		for i, place := range places {
			g.cells[place] = values[i]
		}
		g.filled += len(places)
	}
	return nil
}

// The lowest and the highest cell, and how many have a height.
func (g *grid) heights() (least, greatest float32, count int) {
	least, greatest = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, value := range g.cells {
		if value == value {
			least, greatest = min(least, value), max(greatest, value)
			count++
		}
	}
	return least, greatest, count
}

// A size of 1, 2 or 5 times a power of ten, so that some 256 cells are along a side.
func niceSize(side float64) float64 {
	if !(side > 0) {
		return 1
	}
	wanted := side / 256
	power := math.Pow(10, math.Floor(math.Log10(wanted)))
	for _, step := range []float64{1, 2, 5} {
		if step*power >= wanted {
			return step * power
		}
	}
	return 10 * power
}
