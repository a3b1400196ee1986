package ledger

// Swap is a successor that takes its ordinal over. Both are written as they are here.
type Swap struct {
	// New was in the ordinal's second slot and becomes its holder; Old was the holder and goes to the second slot.
	New, Old Server
}
