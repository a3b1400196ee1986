package workerd

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leanMemory is what the Go runtime may take before it collects harder: a worker's live heap is a few MB, and collecting
// it each time that it doubles would take a tenth of its CPU.
const leanMemory = 42 << 20

const liveHeap = "/gc/heap/live:bytes"

// paceCollector collects rarely up to leanMemory and often above it. GOGC and GOMEMLIMIT, if set, are left alone.
func paceCollector() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(leanMemory)
	afterCollection(leanMemory)
}

// afterCollection moves the limit with what lives, so that a large live heap does not mean one collection after the other.
// It comes again after the next collection.
func afterCollection(limit int64) {
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	live := int64(sample[0].Value.Uint64())
	if wanted := max(leanMemory, live+live/2+8<<20); wanted != limit {
		limit = wanted
		debug.SetMemoryLimit(limit)
	}
	// The object dies in the next collection, and with it comes its cleanup.
	runtime.AddCleanup(new([32]byte), afterCollection, limit)
}
