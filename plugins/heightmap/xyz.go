package main

import (
	"bytes"
	"strconv"
	"strings"
)

// Points as text: three numbers in each line, and whatever comes behind them; or, if the first line names the columns, the
// numbers below x, y and z.
type xyz struct {
	lines   *lineReader
	packed  bool
	any     bool
	columns [3]int
	// Of the line before: a list for each would be much to collect.
	fields [][]byte
}

// What parts the fields of a line.
const separators = " \t,;"

func (x *xyz) next() (point, error) {
	for {
		line, err := x.lines.next()
		if err != nil {
			return point{}, err
		}
		text := bytes.TrimSpace(line)
		if !x.any {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if len(text) == 0 || text[0] == '#' || bytes.HasPrefix(text, []byte("//")) {
			continue
		}
		x.fields = fieldsOf(text, separators, x.fields[:0])
		fields := x.fields
		if !x.any {
			x.any = true
			x.columns = [3]int{0, 1, 2}
			// It may have the names of the columns, or the number of points.
			if _, err := valueIn(fields, 0); err != nil {
				x.columns = columnsOf(fields)
				continue
			}
			if len(fields) == 1 {
				continue
			}
		}
		if hasDecimalCommas(text) {
			return point{}, x.lines.wrong("%q seems to have commas for decimal points, which are not read: a comma parts numbers", shown(text))
		}
		var found [3]float64
		for axis, column := range x.columns {
			if column >= len(fields) {
				return point{}, x.lines.wrong("%q has %d numbers; a point has three", shown(text), len(fields))
			}
			value, err := valueIn(fields, column)
			if err != nil {
				return point{}, x.lines.wrong("%q is no number in %q", shown(fields[column]), shown(text))
			}
			found[axis] = value
		}
		return point{found[0], found[1], found[2]}, nil
	}
}

// Appends the fields of a line, parted by one or several of these letters.
func fieldsOf(line []byte, separators string, fields [][]byte) [][]byte {
	start := -1
	for at, letter := range line {
		switch isSeparator := strings.IndexByte(separators, letter) >= 0; {
		case isSeparator && start >= 0:
			fields = append(fields, line[start:at])
			start = -1
		case !isSeparator && start < 0:
			start = at
		}
	}
	if start >= 0 {
		fields = append(fields, line[start:])
	}
	return fields
}

func (x *xyz) where() string { return "line " + strconv.Itoa(x.lines.number) }

func (x *xyz) format() string { return packedName("xyz", x.packed) }

// The number in a column. One that is too large is infinite, and left out as such.
func valueIn(fields [][]byte, column int) (float64, error) {
	value, err := strconv.ParseFloat(string(fields[column]), 64)
	if isRange(err) {
		return value, nil
	}
	return value, err
}

// Whether a number is too large, and not something else.
func isRange(err error) bool {
	number, ok := err.(*strconv.NumError)
	return ok && number.Err == strconv.ErrRange
}

// Where x, y and z are; the first three columns if they are not all named.
func columnsOf(names [][]byte) [3]int {
	columns := [3]int{-1, -1, -1}
	for column, name := range names {
		axis := strings.Index("xyz", strings.ToLower(strings.Trim(string(name), `"`)))
		if len(bytes.Trim(name, `"`)) == 1 && axis >= 0 && columns[axis] < 0 {
			columns[axis] = column
		}
	}
	for _, column := range columns {
		if column < 0 {
			return [3]int{0, 1, 2}
		}
	}
	return columns
}

// Whether a line is three numbers or more with a comma in each, as in `1,5 2,5 3,5`.
func hasDecimalCommas(line []byte) bool {
	if bytes.IndexByte(line, ',') < 0 {
		return false
	}
	fields := fieldsOf(line, " \t;", nil)
	for _, field := range fields {
		before, after, found := bytes.Cut(field, []byte(","))
		if !found || len(before) == 0 || len(after) == 0 || bytes.Contains(after, []byte(",")) {
			return false
		}
	}
	return len(fields) >= 3
}

func packedName(name string, packed bool) string {
	if packed {
		return name + ", gzip"
	}
	return name
}
