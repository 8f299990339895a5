package component

import (
	"runtime"
	"runtime/debug"

	witRuntime "posemesh/internal/wit/runtime"
)

// A collection that ends while the node makes a list in our memory would ask for the time, which a component must not do then:
// it would trap. So nothing is collected by itself, but between calls of the node.
func init() { debug.SetGCPercent(-1) }

// How much is allocated between two looks at the heap, and how large the heap may grow before it is collected. What the program
// allocates between two calls is not known: each call counts as if it were so much. A program that reads what is packed makes much
// of little.
const (
	lookEvery  = 8 << 20
	firstLimit = 32 << 20
	eachCall   = 256 << 10
)

var (
	sinceLook uint64
	limit     uint64 = firstLimit
)

// Before a call of the node that makes so many bytes in our memory: what earlier calls made is no longer pinned, and is
// collected when there is much of it. Whoever holds it still has it.
func safePoint(bytes uint64) {
	witRuntime.Unpin()
	sinceLook += bytes + eachCall
	if sinceLook < lookEvery {
		return
	}
	sinceLook = 0
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	if memory.HeapAlloc < limit {
		return
	}
	runtime.GC()
	runtime.ReadMemStats(&memory)
	limit = memory.HeapAlloc + max(memory.HeapAlloc/2, firstLimit)
}
