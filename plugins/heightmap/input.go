package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"math"

	"posemesh"
)

// The longest line, of a header or of a point.
const maxLine = 64 << 10

// Points between two reports of progress, which also ask whether to stop.
const step = 4096

// A place in the scan's own axes.
type point struct{ x, y, z float64 }

// Points of a scan, one after the other. The error at the end is [io.EOF].
type points interface {
	next() (point, error)
	// Where the last point was: `line 7` or `vertex 12`.
	where() string
	format() string
}

// The points of a part, whatever its format.
func pointsOf(part *posemesh.Part) (points, error) {
	reader := bufio.NewReaderSize(part, maxLine)
	packed := false
	head, err := peek(reader, 2)
	if err == nil && bytes.Equal(head, []byte{0x1f, 0x8b}) {
		var unpacked *gzip.Reader
		if unpacked, err = gzip.NewReader(reader); err == nil {
			packed = true
			reader = bufio.NewReaderSize(unpacked, maxLine)
		}
	}
	if err == nil {
		head, err = peek(reader, 4)
	}
	if err != nil {
		return nil, broken(err, "", part.Name)
	}
	if len(head) == 0 {
		return nil, posemesh.Errorf(posemesh.InvalidInput, "%s is empty", part.Name)
	}
	lines := &lineReader{from: reader, name: part.Name}
	if bytes.HasPrefix(head, []byte("ply\n")) || bytes.HasPrefix(head, []byte("ply\r")) || string(head) == "ply " {
		return newPly(lines, packed)
	}
	return &xyz{lines: lines, packed: packed}, nil
}

// As many bytes as there are, up to a number.
func peek(reader *bufio.Reader, count int) ([]byte, error) {
	head, err := reader.Peek(count)
	if err == io.EOF {
		err = nil
	}
	return head, err
}

// What an error of reading means: damage of the input, or what a port has said.
func broken(err error, where, name string) error {
	if where != "" {
		where += " of "
	}
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return posemesh.Errorf(posemesh.InvalidInput, "%s%s: the file is cut off", where, name)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, &corrupt):
		return posemesh.Errorf(posemesh.InvalidInput, "%s%s: the file is damaged: %v", where, name, err)
	}
	return err
}

// Lines, without their ends.
type lineReader struct {
	from   *bufio.Reader
	name   string
	number int
}

// The next line, valid until the next call; [io.EOF] after the last.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.from.ReadSlice('\n')
	if len(line) == 0 && err == io.EOF {
		return nil, io.EOF
	}
	l.number++
	if err == bufio.ErrBufferFull {
		return nil, posemesh.Errorf(posemesh.InvalidInput, "line %d of %s has more than %d KiB", l.number, l.name, maxLine>>10)
	}
	if err != nil && err != io.EOF {
		return nil, broken(err, "", l.name)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (l *lineReader) wrong(format string, arguments ...any) error {
	return posemesh.Errorf(posemesh.InvalidInput, "line %d of %s: "+format, append([]any{l.number, l.name}, arguments...)...)
}

// At most so much of a line, for an error.
func shown(line []byte) string {
	if len(line) > 60 {
		return string(line[:60]) + "..."
	}
	return string(line)
}

func isFinite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }
