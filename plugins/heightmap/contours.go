package main

import (
	"math"
	"slices"
	"strconv"

	"posemesh"
)

// Pieces of contours that are held.
const maxPieces = 2_000_000

// The lines of one height, each of places in the grid's coordinates. A closed one ends where it begins.
type contour struct {
	Height number            `json:"height"`
	Lines  [][][2]coordinate `json:"lines"`
}

// A place on the ground: far from the origin it has more digits than a float32.
type coordinate float64

func (c coordinate) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(c), 'g', 12, 64), nil
}

// A number that is written with as many digits as a float32 has: more would be noise.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 32), nil
}

// A crossing of a contour with an edge between the centres of two cells: to the right of a cell, or below it.
type crossing struct{ edge int }

// A piece of a contour in a square of four centres.
type piece [2]crossing

// The contours of a grid, lowest first, by marching squares.
func contours(g *grid, interval float64, goOn func(float64) error) ([]contour, error) {
	pieces := map[int64][]piece{}
	total := 0
	for row := range g.height - 1 {
		if row%256 == 0 {
			if err := goOn(float64(row) / float64(g.height)); err != nil {
				return nil, err
			}
		}
		for column := range g.width - 1 {
			// Clockwise from the upper left one.
			corners := [4]float64{
				float64(g.at(column, row)), float64(g.at(column+1, row)),
				float64(g.at(column+1, row+1)), float64(g.at(column, row+1)),
			}
			low, high := slices.Min(corners[:]), slices.Max(corners[:])
			// NaN is no number of contours.
			if !(high-low >= 0) {
				continue
			}
			first, last := math.Floor(low/interval)+1, math.Floor(high/interval)
			if last-first > maxPieces || math.Abs(last) > 1<<50 {
				return nil, tooMany(interval)
			}
			for level := first; level <= last; level++ {
				found := inSquare(g, column, row, corners, level*interval)
				if total += len(found); total > maxPieces {
					return nil, tooMany(interval)
				}
				pieces[int64(level)] = append(pieces[int64(level)], found...)
			}
		}
	}
	levels := make([]int64, 0, len(pieces))
	for level := range pieces {
		levels = append(levels, level)
	}
	slices.Sort(levels)
	made := make([]contour, 0, len(levels))
	for i, level := range levels {
		if err := goOn(float64(i) / float64(len(levels))); err != nil {
			return nil, err
		}
		height := float64(level) * interval
		made = append(made, contour{number(height), joined(g, pieces[level], height)})
	}
	return made, nil
}

func tooMany(interval float64) error {
	return posemesh.Errorf(posemesh.InvalidTask,
		"contours of %g in height have more than %d pieces; the task can ask for a larger contour_interval", interval, maxPieces)
}

// The pieces of a contour in a square: none, one or two.
func inSquare(g *grid, column, row int, corners [4]float64, height float64) []piece {
	here := row*g.width + column
	// The edges between the corners, clockwise: above, right, below, left.
	edges := [4]crossing{{2 * here}, {2*(here+1) + 1}, {2 * (here + g.width)}, {2*here + 1}}
	var crossed []crossing
	above := [4]bool{}
	for i, corner := range corners {
		above[i] = corner >= height
	}
	for i := range edges {
		if above[i] != above[(i+1)%4] {
			crossed = append(crossed, edges[i])
		}
	}
	switch len(crossed) {
	case 2:
		return []piece{{crossed[0], crossed[1]}}
	case 4:
		// A saddle: the middle decides which corners hang together.
		middle := (corners[0]+corners[1]+corners[2]+corners[3])/4 >= height
		if middle == above[0] {
			return []piece{{crossed[0], crossed[1]}, {crossed[2], crossed[3]}}
		}
		return []piece{{crossed[3], crossed[0]}, {crossed[1], crossed[2]}}
	}
	return nil
}

// Joins pieces to lines: open ones first, in the order of their beginnings.
func joined(g *grid, pieces []piece, height float64) [][][2]coordinate {
	meets := map[crossing][]int{}
	for i, p := range pieces {
		meets[p[0]] = append(meets[p[0]], i)
		meets[p[1]] = append(meets[p[1]], i)
	}
	used := make([]bool, len(pieces))
	var lines [][][2]coordinate
	follow := func(from int, start crossing) {
		line := [][2]coordinate{g.crossed(start, height)}
		for at, next := start, from; next >= 0; {
			used[next] = true
			end := pieces[next][0]
			if end == at {
				end = pieces[next][1]
			}
			line = append(line, g.crossed(end, height))
			at, next = end, -1
			for _, other := range meets[at] {
				if !used[other] {
					next = other
				}
			}
		}
		lines = append(lines, line)
	}
	for i, p := range pieces {
		for _, end := range p {
			if !used[i] && len(meets[end]) == 1 {
				follow(i, end)
			}
		}
	}
	for i, p := range pieces {
		if !used[i] {
			follow(i, p[0])
		}
	}
	return lines
}

// Where a contour crosses an edge.
func (g *grid) crossed(at crossing, height float64) [2]coordinate {
	cell, down := at.edge/2, at.edge%2
	column, row := cell%g.width, cell/g.width
	from, to := float64(g.at(column, row)), float64(g.at(column+1-down, row+down))
	share := (height - from) / (to - from)
	east := g.west + (float64(column)+0.5+share*float64(1-down))*g.size
	north := g.south + (float64(g.height-row)-0.5-share*float64(down))*g.size
	return [2]coordinate{coordinate(east), coordinate(north)}
}
