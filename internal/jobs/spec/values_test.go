package spec_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

func TestADurationIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "20m": 20 * time.Minute, "1h30m": 90 * time.Minute, "30d": 30 * 24 * time.Hour,
		"1d12h": 36 * time.Hour, "500ms": 500 * time.Millisecond, "0s": 0,
	} {
		var d spec.Duration
		if err := json.Unmarshal([]byte(`"`+text+`"`), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s is %v, %v, want %v", text, time.Duration(d), err, want)
		}
		raw, err := json.Marshal(d)
		var again spec.Duration
		if err != nil || json.Unmarshal(raw, &again) != nil || again != d {
			t.Errorf("%s is written as %s", text, raw)
		}
	}
	for _, text := range []string{`"20"`, `""`, `"-5m"`, `"1.5d"`, `"m"`, `20`, `true`, `"99999999999d"`, `"9999999999999h"`} {
		var d spec.Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %v", text, time.Duration(d))
		}
	}
	if got := spec.Duration(90 * time.Minute).String(); got != "1h30m" {
		t.Errorf("90 minutes are written %s", got)
	}
	if spec.Duration(0).Or(time.Hour) != time.Hour || spec.Duration(time.Minute).Or(time.Hour) != time.Minute {
		t.Error("Or does not stand in for what is absent only")
	}
}

func TestSizesAndPercentages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]spec.Size{`"20GiB"`: 20, `20`: 20, `"1TiB"`: 1024, `"2 TiB"`: 2048} {
		var s spec.Size
		if err := json.Unmarshal([]byte(text), &s); err != nil || s != want {
			t.Errorf("%s is %d, %v", text, s, err)
		}
	}
	for text, want := range map[string]spec.Percent{`"95%"`: 95, `95`: 95, `"99.5%"`: 99.5, `"100%"`: 100, `0`: 0} {
		var p spec.Percent
		if err := json.Unmarshal([]byte(text), &p); err != nil || p != want {
			t.Errorf("%s is %v, %v", text, p, err)
		}
	}
}

func TestAShareOfATotalRoundsAsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		total    int
		down, up int
	}{
		{`"10%"`, 25, 2, 3}, {`"10%"`, 200, 20, 20}, {`"100%"`, 7, 7, 7}, {`3`, 200, 3, 3}, {`300`, 200, 200, 200},
		{`"1%"`, 10, 0, 1}, {`"0%"`, 10, 0, 0}, {`"7%"`, 100, 7, 7}, {`"29%"`, 100, 29, 29},
	} {
		var s spec.Share
		if err := json.Unmarshal([]byte(c.text), &s); err != nil {
			t.Fatal(err)
		}
		if s.Of(c.total, false) != c.down || s.Of(c.total, true) != c.up {
			t.Errorf("%s of %d is %d or %d, want %d or %d", c.text, c.total, s.Of(c.total, false), s.Of(c.total, true), c.down, c.up)
		}
	}
}
