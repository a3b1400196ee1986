package config

import "testing"

func TestAnEmptyHealthAddressIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environment map[string]string
		want        string
	}{
		"absent": {map[string]string{}, "127.0.0.1:8088"},
		"empty":  {map[string]string{"STAMPMILL_HEALTH": ""}, ""},
		"given":  {map[string]string{"STAMPMILL_HEALTH": "127.0.0.1:0"}, "127.0.0.1:0"},
	} {
		var w Worker
		if err := Load(&w, c.environment); err != nil {
			t.Fatal(err)
		}
		if w.Health != c.want {
			t.Errorf("%s: got %q, want %q", name, w.Health, c.want)
		}
	}
}
