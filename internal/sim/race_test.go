//go:build race

package sim_test

// raced says that the race detector watches: its scheduler takes turns at random, so no schedule repeats itself under it.
const raced = true
