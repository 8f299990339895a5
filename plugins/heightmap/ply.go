package main

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"
	"strings"
)

// Lines of a header, elements and properties: more is no scan.
const maxHeader = 10_000

// The vertices of a PLY file. What comes behind them is not read.
type ply struct {
	lines  *lineReader
	packed bool
	kind   string
	order  binary.ByteOrder
	count  uint64
	number uint64
	vertex element
	// The places of x, y and z among the properties.
	axes [3]int
	row  []float64
	buf  [8]byte
}

type element struct {
	name       string
	count      uint64
	properties []property
}

type property struct {
	name string
	// Bytes of a value, and how it is read.
	kind string
	// The type of a list's length; empty for one value.
	length string
}

var plySizes = map[string]int{
	"char": 1, "int8": 1, "uchar": 1, "uint8": 1, "short": 2, "int16": 2, "ushort": 2, "uint16": 2,
	"int": 4, "int32": 4, "uint": 4, "uint32": 4, "float": 4, "float32": 4, "double": 8, "float64": 8,
}

func newPly(lines *lineReader, packed bool) (points, error) {
	p := &ply{lines: lines, packed: packed}
	elements, err := p.header()
	if err != nil {
		return nil, err
	}
	for _, found := range elements {
		if found.name == "vertex" {
			return p, p.begin(found)
		}
		// Entries without properties take no room, however many there are.
		if len(found.properties) == 0 {
			continue
		}
		// Faces before the vertices, say.
		for range found.count {
			if err := p.skip(found); err != nil {
				return nil, err
			}
		}
	}
	return nil, lines.wrong("the header ends without an element vertex")
}

// Finds the coordinates among the properties of the vertices.
func (p *ply) begin(vertex element) error {
	p.vertex, p.count, p.axes = vertex, vertex.count, [3]int{-1, -1, -1}
	p.row = make([]float64, len(vertex.properties))
	for place, property := range vertex.properties {
		for axis, name := range []string{"x", "y", "z"} {
			if property.name == name && property.length == "" && p.axes[axis] < 0 {
				p.axes[axis] = place
			}
		}
	}
	for axis, name := range []string{"x", "y", "z"} {
		if p.axes[axis] < 0 {
			return p.lines.wrong("the vertices have no property %s", name)
		}
	}
	return nil
}

func (p *ply) header() ([]element, error) {
	var elements []element
	for lines := 0; ; lines++ {
		line, err := p.lines.next()
		if err == io.EOF || lines == maxHeader {
			return nil, p.lines.wrong("the header has no end_header")
		}
		if err != nil {
			return nil, err
		}
		words := strings.Fields(string(line))
		switch {
		case len(words) == 0 || words[0] == "comment" || words[0] == "obj_info" || lines == 0:
		case words[0] == "format" && len(words) >= 2:
			p.kind = words[1]
			switch p.kind {
			case "ascii":
			case "binary_little_endian":
				p.order = binary.LittleEndian
			case "binary_big_endian":
				p.order = binary.BigEndian
			default:
				return nil, p.lines.wrong("the format %q is none of PLY's", shown([]byte(p.kind)))
			}
		case words[0] == "element" && len(words) == 3:
			count, err := strconv.ParseUint(words[2], 10, 62)
			if err != nil {
				return nil, p.lines.wrong("%q is no number of elements", shown([]byte(words[2])))
			}
			elements = append(elements, element{name: words[1], count: count})
		case words[0] == "property" && len(elements) > 0:
			found, ok := propertyOf(words[1:])
			if !ok {
				return nil, p.lines.wrong("%q is no property of PLY", shown(line))
			}
			last := &elements[len(elements)-1]
			last.properties = append(last.properties, found)
		case words[0] == "end_header":
			if p.kind == "" {
				return nil, p.lines.wrong("the header says no format")
			}
			return elements, nil
		default:
			return nil, p.lines.wrong("%q means nothing in a header of PLY", shown(line))
		}
	}
}

func propertyOf(words []string) (property, bool) {
	if len(words) == 4 && words[0] == "list" {
		isLength := plySizes[words[1]] > 0 && words[1][0] != 'f' && words[1][0] != 'd'
		return property{name: words[3], length: words[1], kind: words[2]}, isLength && plySizes[words[2]] > 0
	}
	if len(words) != 2 {
		return property{}, false
	}
	return property{name: words[1], kind: words[0]}, plySizes[words[0]] > 0
}

func (p *ply) next() (point, error) {
	if p.number == p.count {
		return point{}, io.EOF
	}
	p.number++
	var err error
	if p.order == nil {
		err = p.asciiRow(p.vertex, p.row)
	} else {
		err = p.binaryRow(p.vertex, p.row)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return point{}, broken(io.ErrUnexpectedEOF, p.where(), p.lines.name)
	}
	if err != nil {
		return point{}, broken(err, p.where(), p.lines.name)
	}
	return point{p.row[p.axes[0]], p.row[p.axes[1]], p.row[p.axes[2]]}, nil
}

// Reads over one entry of an element before the vertices.
func (p *ply) skip(of element) error {
	var err error
	row := make([]float64, len(of.properties))
	if p.order == nil {
		err = p.asciiRow(of, row)
	} else {
		err = p.binaryRow(of, row)
	}
	if err != nil {
		return broken(err, "an element "+shown([]byte(of.name)), p.lines.name)
	}
	return nil
}

// Reads the numbers of one entry: the value of each property, or the length of a list. An entry may go on in the next line, as
// RealSense writes it, and the next one begins in a line of its own.
func (p *ply) asciiRow(of element, row []float64) error {
	var fields []string
	begins := 0
	take := func() (float64, error) {
		for len(fields) == 0 {
			line, err := p.lines.next()
			if err != nil {
				return 0, err
			}
			fields = strings.Fields(string(line))
			if begins == 0 {
				begins = p.lines.number
			}
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil && !isRange(err) {
			return 0, p.lines.wrong("%q is no number", shown([]byte(fields[0])))
		}
		fields = fields[1:]
		return value, nil
	}
	for place, property := range of.properties {
		value, err := take()
		if err != nil {
			return err
		}
		row[place] = value
		if property.length == "" {
			continue
		}
		// As often as a file says, but no longer than it has numbers.
		for left := value; left > 0; left-- {
			if _, err := take(); err != nil {
				return err
			}
		}
	}
	if len(fields) > 0 {
		return p.lines.wrong("there are %d values more than a %s has properties, which begins in line %d",
			len(fields), shown([]byte(of.name)), begins)
	}
	return nil
}

func (p *ply) binaryRow(of element, row []float64) error {
	for place, property := range of.properties {
		kind := property.kind
		if property.length != "" {
			kind = property.length
		}
		value, err := p.value(kind)
		if err != nil {
			return err
		}
		row[place] = value
		if property.length != "" && value > 0 {
			if err := p.discard(int64(value) * int64(plySizes[property.kind])); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reads over so many bytes, which may be more than memory has.
func (p *ply) discard(count int64) error {
	copied, err := io.CopyN(io.Discard, p.lines.from, count)
	if err == io.EOF && copied < count {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (p *ply) value(kind string) (float64, error) {
	bytes := p.buf[:plySizes[kind]]
	if _, err := io.ReadFull(p.lines.from, bytes); err != nil {
		return 0, err
	}
	switch kind {
	case "char", "int8":
		return float64(int8(bytes[0])), nil
	case "uchar", "uint8":
		return float64(bytes[0]), nil
	case "short", "int16":
		return float64(int16(p.order.Uint16(bytes))), nil
	case "ushort", "uint16":
		return float64(p.order.Uint16(bytes)), nil
	case "int", "int32":
		return float64(int32(p.order.Uint32(bytes))), nil
	case "uint", "uint32":
		return float64(p.order.Uint32(bytes)), nil
	case "float", "float32":
		return float64(math.Float32frombits(p.order.Uint32(bytes))), nil
	default:
		return math.Float64frombits(p.order.Uint64(bytes)), nil
	}
}

func (p *ply) where() string {
	if p.order == nil {
		return "line " + strconv.Itoa(p.lines.number)
	}
	return "vertex " + strconv.FormatUint(p.number, 10) + " of " + strconv.FormatUint(p.count, 10)
}

func (p *ply) format() string { return packedName("ply "+p.kind, p.packed) }
