package ordinals

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestASetIsRangesInJSONAndReadsBackTheSame(t *testing.T) {
	t.Parallel()
	for text, list := range map[string][]int{
		"":              nil,
		"0":             {0},
		"0-2":           {2, 0, 1, 1},
		"3,17-20":       {20, 19, 18, 17, 3},
		"0-1,3-4,99999": {0, 1, 3, 4, 99999},
	} {
		set := Of(list...)
		encoded, err := json.Marshal(set)
		if err != nil || string(encoded) != `"`+text+`"` {
			t.Errorf("%v is written as %s, %v; expected %q", list, encoded, err, text)
		}
		var back Set
		if err := json.Unmarshal(encoded, &back); err != nil || !slices.Equal(back.List(), set.List()) {
			t.Errorf("%q reads back as %v, %v", text, back.List(), err)
		}
	}
}

func TestSetsAddSubtractAndSplitAsListsDo(t *testing.T) {
	t.Parallel()
	set := Between(0, 9).Minus(Of(3, 4))
	if set.String() != "0-2,5-9" || set.Len() != 8 || set.Has(3) || !set.Has(5) || set.Has(10) {
		t.Fatalf("0-9 without 3 and 4 is %s", set)
	}
	if sum := set.Plus(Of(4, 11)); sum.String() != "0-2,4-9,11" {
		t.Errorf("sum: %s", sum)
	}
	if low := set.Lowest(4); low.String() != "0-2,5" {
		t.Errorf("lowest four: %s", low)
	}
	var texts []string
	for _, chunk := range set.Chunks(3) {
		texts = append(texts, chunk.String())
	}
	if !slices.Equal(texts, []string{"0-2", "5-7", "8-9"}) {
		t.Errorf("chunks of three: %v", texts)
	}
	if !Between(5, 4).Empty() || len(Set{}.Chunks(3)) != 0 {
		t.Error("an empty set has chunks")
	}
}

func TestWhatIsNoOrdinalIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"-1", "x", "5-", "20-17", "1000000", "1-2-3", ""} {
		if span, err := ParseSpan(text); err == nil {
			t.Errorf("%q was read as %v", text, span)
		}
	}
}
