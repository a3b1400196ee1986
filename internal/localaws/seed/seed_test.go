package seed

import (
	"slices"
	"testing"
)

func TestEachLineHasAnOlderAndANewerImageWithItsOwnIDsInEveryRegion(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, region := range Regions() {
		count := map[string]int{}
		for _, image := range Images(region.Name, 1) {
			count[image.Line]++
			if seen[image.ID] || seen[image.SnapshotID] {
				t.Errorf("%s: id of %s is not its own", region.Name, image.Name)
			}
			seen[image.ID], seen[image.SnapshotID] = true, true
		}
		if len(count) != 7 {
			t.Errorf("%s: %d lines, want 7", region.Name, len(count))
		}
		for line, n := range count {
			if n != 2 {
				t.Errorf("%s: %s has %d images, want 2", region.Name, line, n)
			}
		}
	}
}

func TestIDsAreAFunctionOfTheSeed(t *testing.T) {
	t.Parallel()
	ids := func(seed int64) []string {
		var ids []string
		for _, image := range Images("eu-west-1", seed) {
			ids = append(ids, image.ID)
		}
		return ids
	}
	if !slices.Equal(ids(7), ids(7)) {
		t.Error("the same seed gave other ids")
	}
	if slices.Equal(ids(7), ids(8)) {
		t.Error("another seed gave the same ids")
	}
}
