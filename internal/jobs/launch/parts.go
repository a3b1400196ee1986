package launch

import (
	"slices"

	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// part is one batch of what a launch lacks.
type part struct {
	ordinals ordinals.Set
	number   int    // among those that ask the same pool first
	first    int    // that pool, counted from 1; 0: as the ladder says
	subnet   string // that is asked first; empty: as the ladder says
}

// parts cuts what is to be launched into batches. With weights each pool has its share of the servers; the shares and the
// batches are a function of the ordinals and of the spec alone.
func (l *launch) parts(todo ordinals.Set) []part {
	if l.progress.Heirs != nil {
		return l.heirParts(todo)
	}
	var parts []part
	rest := todo
	for pool, share := range shares(todo.Len(), l.spec.Pools) {
		first := pool + 1
		if l.spec.Pools == nil || l.spec.Pools[pool].Weight == 0 {
			first = 0
		}
		mine := rest.Lowest(share)
		rest = rest.Minus(mine)
		for number, batch := range mine.Chunks(BatchSize) {
			parts = append(parts, part{ordinals: batch, number: number, first: first})
		}
	}
	return parts
}

// shares splits a number by the pools' weights: what is left over by rounding goes to the largest remainders, the earlier
// pool before the later one. Without weights, all of it is the first share.
func shares(count int, pools []Pool) []int {
	total := 0
	for _, pool := range pools {
		total += pool.Weight
	}
	if total == 0 {
		return []int{count}
	}
	list, order, left := make([]int, len(pools)), make([]int, len(pools)), count
	for i, pool := range pools {
		list[i] = count * pool.Weight / total
		left -= list[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return count*pools[b].Weight%total - count*pools[a].Weight%total
	})
	for _, i := range order[:left] {
		list[i]++
	}
	return list
}
