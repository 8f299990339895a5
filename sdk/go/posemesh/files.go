package posemesh

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"unicode/utf8"
)

// Bytes that are read or written in one call of the node.
const chunkSize = 1 << 20

// The longest line.
const maxLine = 16 << 20

// PartInfo is what the domain server says of a part.
type PartInfo struct {
	DataID string
	// Name is as it was uploaded. Not a path: it can hold any character.
	Name     string
	DataType string
	Size     uint64
	DomainID string
}

// Part is one blob of an input: a reader of which nothing is kept. One that breaks off is an error, and never a shorter stream.
type Part struct {
	PartInfo
	host  HostPart
	chunk []byte
	read  uint64
}

func newPart(host HostPart) *Part { return &Part{PartInfo: host.Info(), host: host} }

// Done is how much of it was read, from 0 to 1.
func (p *Part) Done() float64 {
	if p.Size == 0 {
		return 1
	}
	return float64(p.read) / float64(p.Size)
}

// Read is as in [io.Reader].
func (p *Part) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	if len(p.chunk) == 0 {
		chunk, err := p.host.Read(chunkSize)
		if err != nil {
			return 0, err
		}
		if len(chunk) == 0 {
			return 0, io.EOF
		}
		p.chunk = chunk
	}
	count := copy(to, p.chunk)
	p.chunk = p.chunk[count:]
	p.read += uint64(count)
	return count, nil
}

// Lines are its lines as text, without their ends (LF or CR LF). An error is the last. Text that is no UTF-8, or a line of more
// than 16 MiB, is InvalidInput with the line.
func (p *Part) Lines() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		lines := bufio.NewScanner(p)
		lines.Buffer(make([]byte, 0, 1<<16), maxLine)
		number := 0
		for lines.Scan() {
			number++
			if !utf8.Valid(lines.Bytes()) {
				yield("", Errorf(InvalidInput, "line %d: it is no UTF-8", number))
				return
			}
			if !yield(lines.Text(), nil) {
				return
			}
		}
		if err := lines.Err(); err == bufio.ErrTooLong {
			yield("", Errorf(InvalidInput, "line %d: it has more than %d MiB", number+1, maxLine>>20))
		} else if err != nil {
			yield("", err)
		}
	}
}

// ReadAll reads what is left of the part; more than max bytes is InvalidInput.
func (p *Part) ReadAll(max uint64) ([]byte, error) {
	if p.Size > p.read && p.Size-p.read > max {
		return nil, Errorf(InvalidInput, "%s has %d bytes; at most %d are read", p.Name, p.Size, max)
	}
	var all bytes.Buffer
	_, err := io.Copy(&all, p)
	return all.Bytes(), err
}

// ReadAt is as in [io.ReaderAt]. It keeps the part in the sandbox directory.
func (p *Part) ReadAt(to []byte, offset int64) (int, error) {
	count := 0
	for count < len(to) {
		got, err := p.host.ReadAt(uint64(offset)+uint64(count), uint32(min(len(to)-count, chunkSize)))
		if err != nil {
			return count, err
		}
		if len(got) == 0 {
			return count, io.EOF
		}
		count += copy(to[count:], got)
	}
	return count, nil
}

// ToFile is the path of the part as a read-only file in the sandbox. It counts against the scratch budget.
func (p *Part) ToFile() (string, error) { return p.host.Materialise() }

// Close gives it back.
func (p *Part) Close() error {
	p.host.Drop()
	return nil
}

// Options is what may be said of an artifact beyond its path; what is empty is left to the node.
type Options struct {
	Name       string
	DataType   string
	ExistingID string
	SizeHint   uint64
}

// Stored is what was stored.
type Stored struct {
	LogicalPath string
	Name        string
	DataType    string
	// ID is that in the domain, if the server gave one.
	ID   string
	Size uint64
}

// Artifact is a writer. What was written is stored by Finish alone.
type Artifact struct {
	host  HostArtifact
	chunk []byte
}

// Write is as in [io.Writer].
func (a *Artifact) Write(data []byte) (int, error) {
	if a.host == nil {
		return 0, Errorf(InvalidCall, "the artifact was finished or given up")
	}
	a.chunk = append(a.chunk, data...)
	for len(a.chunk) >= chunkSize {
		if err := a.host.Write(a.chunk[:chunkSize]); err != nil {
			return 0, err
		}
		a.chunk = append(a.chunk[:0], a.chunk[chunkSize:]...)
	}
	return len(data), nil
}

// Finish stores it.
func (a *Artifact) Finish() (Stored, error) {
	if a.host == nil {
		return Stored{}, Errorf(InvalidCall, "the artifact was finished or given up")
	}
	defer a.Abort()
	if len(a.chunk) > 0 {
		if err := a.host.Write(a.chunk); err != nil {
			return Stored{}, err
		}
	}
	return a.host.Finish()
}

// Abort gives it up, unless it was finished.
func (a *Artifact) Abort() {
	if a.host != nil {
		a.host.Drop()
		a.host = nil
	}
}
