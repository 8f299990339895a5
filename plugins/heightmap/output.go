package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"

	"posemesh"
)

// The longest side of the preview, in pixels.
const previewSide = 1024

// Writes the grid as an ASCII grid of ESRI's, which every program for maps reads.
func writeGrid(task *posemesh.Task, g *grid, lowest float32) error {
	artifact, err := task.Create("heights.asc", posemesh.Options{})
	if err != nil {
		return err
	}
	defer artifact.Abort()
	missing := "-9999"
	if lowest <= -9999 {
		missing = "-3.4e+38"
	}
	line := append([]byte(nil), "ncols "...)
	line = strconv.AppendInt(line, int64(g.width), 10)
	line = strconv.AppendInt(append(line, "\nnrows "...), int64(g.height), 10)
	line = strconv.AppendFloat(append(line, "\nxllcorner "...), g.west, 'g', -1, 64)
	line = strconv.AppendFloat(append(line, "\nyllcorner "...), g.south, 'g', -1, 64)
	line = strconv.AppendFloat(append(line, "\ncellsize "...), g.size, 'g', -1, 64)
	line = append(append(append(line, "\nNODATA_value "...), missing...), '\n')
	for row := range g.height {
		if row%64 == 0 {
			if err := task.Progress(0.8+0.15*float64(row)/float64(g.height), "writing"); err != nil {
				return err
			}
		}
		for column := range g.width {
			if column > 0 {
				line = append(line, ' ')
			}
			if value := g.at(column, row); value == value {
				line = strconv.AppendFloat(line, float64(value), 'g', -1, 32)
			} else {
				line = append(line, missing...)
			}
		}
		line = append(line, '\n')
		if _, err := artifact.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	_, err = artifact.Finish()
	return err
}

// Writes contours as JSON, one in each line.
func writeContours(task *posemesh.Task, found []contour, interval float64) error {
	artifact, err := task.Create("contours.json", posemesh.Options{})
	if err != nil {
		return err
	}
	defer artifact.Abort()
	between := fmt.Sprintf("{\"interval\": %g, \"contours\": [\n", interval)
	for _, one := range found {
		data, err := json.Marshal(one)
		if err != nil {
			return err
		}
		if _, err := artifact.Write(append([]byte(between), data...)); err != nil {
			return err
		}
		between = ",\n"
	}
	end := "\n]}\n"
	if len(found) == 0 {
		end = between + "]}\n"
	}
	if _, err := artifact.Write([]byte(end)); err != nil {
		return err
	}
	_, err = artifact.Finish()
	return err
}

// The colours of heights, from the lowest to the highest.
var colours = [...][3]float64{{44, 123, 182}, {120, 190, 170}, {215, 225, 150}, {200, 150, 90}, {245, 240, 235}}

// Writes the grid as an image: colours for heights, lit from the north-west.
func writePreview(task *posemesh.Task, g *grid, least, greatest float32) error {
	g = g.smaller((max(g.width, g.height) + previewSide - 1) / previewSide)
	picture := image.NewNRGBA(image.Rect(0, 0, g.width, g.height))
	for y := range picture.Rect.Max.Y {
		for x := range picture.Rect.Max.X {
			value := g.at(x, y)
			if value != value {
				continue
			}
			share := 0.0
			if greatest > least {
				share = float64(value-least) / float64(greatest-least)
			}
			picture.SetNRGBA(x, y, shaded(share, g.light(x, y)))
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		return err
	}
	_, err := task.Write("preview.png", data.Bytes())
	return err
}

// A grid whose cells are the means of so many by so many.
func (g *grid) smaller(every int) *grid {
	made := &grid{width: (g.width + every - 1) / every, height: (g.height + every - 1) / every, size: g.size * float64(every)}
	made.cells = make([]float32, made.width*made.height)
	for row := range made.height {
		for column := range made.width {
			sum, count := 0.0, 0
			for y := row * every; y < (row+1)*every; y++ {
				for x := column * every; x < (column+1)*every; x++ {
					if value := g.at(x, y); value == value {
						sum += float64(value)
						count++
					}
				}
			}
			// Without any, 0 by 0 is NaN.
			made.cells[row*made.width+column] = float32(sum / float64(count))
		}
	}
	return made
}

// How bright a cell is, from 0.4 to 1, by the slope towards the north-west.
func (g *grid) light(column, row int) float64 {
	here := g.at(column, row)
	// What is missing is as high as the cell.
	slope := func(one, other float32) float64 {
		if one != one {
			one = here
		}
		if other != other {
			other = here
		}
		return float64(other-one) / (2 * g.size)
	}
	dx := slope(g.at(column-1, row), g.at(column+1, row))
	dy := slope(g.at(column, row+1), g.at(column, row-1))
	// The cosine between the normal and the light.
	cosine := (dx - dy + 1.4) / (1.8 * math.Sqrt(dx*dx+dy*dy+1))
	return 0.4 + 0.6*max(0, min(1, cosine))
}

func shaded(share, light float64) color.NRGBA {
	place := share * float64(len(colours)-1)
	low := min(int(place), len(colours)-2)
	mix := func(channel int) uint8 {
		from, to := colours[low][channel], colours[low+1][channel]
		return uint8(math.Round((from + (to-from)*(place-float64(low))) * light))
	}
	return color.NRGBA{mix(0), mix(1), mix(2), 255}
}
