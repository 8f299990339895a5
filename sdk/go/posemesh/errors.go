package posemesh

import (
	"errors"
	"fmt"
)

// Case says whose fault a failure is: the cases of the contract's error, in its order.
type Case uint8

const (
	// InvalidTask: the task as submitted can't be done. A parameter is missing or out of range, there are too few inputs.
	InvalidTask Case = iota
	// InvalidInput: an input is broken or of a kind that the runner does not read. Say where: a line, a byte.
	InvalidInput
	// Failed: the runner failed in any other way. What is no Error counts as this.
	Failed
	// NotFound is the first case that the ports of the node return.
	NotFound
	InvalidCall
	Denied
	Limit
	Corrupt
	Unavailable
	// Cancelled: the task is being stopped. Let it pass.
	Cancelled
	PortFailed
)

var caseNames = [...]string{
	"invalid-task", "invalid-input", "failed", "not-found", "invalid-call", "denied", "limit", "corrupt", "unavailable",
	"cancelled", "port-failed",
}

// String is the name of the case in the contract.
func (c Case) String() string {
	if int(c) < len(caseNames) {
		return caseNames[c]
	}
	return fmt.Sprintf("case %d", uint8(c))
}

// Error is an error that a task can end with. The text becomes the reason in the job server's record. Errors of the node are
// of this type too, and a runner that does not handle one returns it, whole or wrapped with %w.
type Error struct {
	Case Case
	Text string
	// Cause is what the text wraps, if anything.
	Cause error
}

func (e *Error) Error() string { return e.Text }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error of a case, as [fmt.Errorf] does.
func Errorf(kind Case, format string, arguments ...any) error {
	made := fmt.Errorf(format, arguments...)
	return &Error{kind, made.Error(), errors.Unwrap(made)}
}

// CaseOf is the case of an error, which may be wrapped.
func CaseOf(err error) Case {
	var found *Error
	if errors.As(err, &found) {
		return found.Case
	}
	return Failed
}
