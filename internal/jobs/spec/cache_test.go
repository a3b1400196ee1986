package spec_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

type cachedSpec struct {
	Text string `json:"text"`
}

func TestACacheReadsASpecOnceADigestAndStaysSmall(t *testing.T) {
	t.Parallel()
	var cache spec.Cache[cachedSpec]
	first, err := cache.Read("a", json.RawMessage(`{"text":"one"}`))
	if err != nil || first.Text != "one" {
		t.Fatal(first, err)
	}
	again, err := cache.Read("a", json.RawMessage(`{"text":"never read"}`))
	if err != nil || again.Text != "one" {
		t.Fatalf("the digest was read again: %+v, %v", again, err)
	}
	if other, err := cache.Read("", json.RawMessage(`{"text":"two"}`)); err != nil || other.Text != "two" {
		t.Fatal(other, err)
	}
	if _, err := cache.Read("bad", json.RawMessage(`{"text":1}`)); err == nil {
		t.Fatal("a spec that cannot be read was cached")
	}
	large := json.RawMessage(`{"text":"` + strings.Repeat("x", 1<<20) + `"}`)
	for i := range 8 { // over the bound: the first goes
		if _, err := cache.Read(fmt.Sprint("large-", i), large); err != nil {
			t.Fatal(err)
		}
	}
	if fresh, err := cache.Read("a", json.RawMessage(`{"text":"three"}`)); err != nil || fresh.Text != "three" {
		t.Fatalf("the cache kept %+v beyond its bound (%v)", fresh, err)
	}
}
