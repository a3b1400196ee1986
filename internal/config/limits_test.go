package config

import (
	"strings"
	"testing"
)

func TestSettingsThatQueuesWouldRefuseOrThatWouldPollWithoutPauseAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for name, environment := range map[string]map[string]string{
		"POLL":       {"STAMPMILL_POLL": "0s"},
		"POLL ":      {"STAMPMILL_POLL": "500ms"},
		"VISIBILITY": {"STAMPMILL_VISIBILITY": "13h"},
		// Queues count in seconds: 3.5 s is 3 s, no longer than the lease.
		"VISIBILITY ": {"STAMPMILL_LEASE": "3s", "STAMPMILL_VISIBILITY": "3500ms"},
		"PACE":        {"STAMPMILL_PACE": "NaN"},
		"DRAIN_GRACE": {"STAMPMILL_DRAIN_GRACE": "-1s"},
	} {
		var w Worker
		if err := Load(&w, environment); err == nil || !strings.Contains(err.Error(), "STAMPMILL_"+strings.TrimSpace(name)) {
			t.Errorf("%v: %v", environment, err)
		}
	}
}
