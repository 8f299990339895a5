package main

import (
	"bytes"
	"strconv"
)

// Points as text: three numbers in each line, and whatever comes behind them.
type xyz struct {
	lines  *lineReader
	packed bool
	any    bool
}

func (x *xyz) next() (point, error) {
	for {
		line, err := x.lines.next()
		if err != nil {
			return point{}, err
		}
		text := bytes.TrimSpace(line)
		if len(text) == 0 || text[0] == '#' || bytes.HasPrefix(text, []byte("//")) {
			continue
		}
		found, count, wrong := numbers(text)
		// The first line may have the names of the columns, or the number of points.
		isHead := !x.any && (wrong != nil || count == 1)
		x.any = true
		if isHead {
			continue
		}
		if wrong != nil {
			return point{}, x.lines.wrong("%q is no number in %q", shown(wrong.field), shown(text))
		}
		if count < 3 {
			return point{}, x.lines.wrong("%q has %d numbers; a point has three", shown(text), count)
		}
		return point{found[0], found[1], found[2]}, nil
	}
}

func (x *xyz) where() string { return "line " + strconv.Itoa(x.lines.number) }

func (x *xyz) format() string { return packedName("xyz", x.packed) }

// A field that is no number.
type notANumber struct{ field []byte }

// The first three numbers of a line, and how many there are, up to three.
func numbers(line []byte) (found [3]float64, count int, wrong *notANumber) {
	rest := line
	for count < 3 {
		rest = bytes.TrimLeft(rest, " \t,;")
		if len(rest) == 0 {
			return found, count, nil
		}
		end := bytes.IndexAny(rest, " \t,;")
		if end < 0 {
			end = len(rest)
		}
		value, err := strconv.ParseFloat(string(rest[:end]), 64)
		if err != nil && !isRange(err) {
			return found, count, &notANumber{rest[:end]}
		}
		found[count] = value
		count++
		rest = rest[end:]
	}
	return found, count, nil
}

// Whether a number is too large, and not something else: it is infinite then, and left out as such.
func isRange(err error) bool {
	number, ok := err.(*strconv.NumError)
	return ok && number.Err == strconv.ErrRange
}

func packedName(name string, packed bool) string {
	if packed {
		return name + ", gzip"
	}
	return name
}
