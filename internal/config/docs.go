package config

import (
	"reflect"
	"strings"
)

// docs reads the doc tags of a configuration, by variable without the prefix.
func docs(c any) map[string]string {
	meanings := map[string]string{}
	collect(reflect.TypeOf(c), meanings)
	return meanings
}

func collect(t reflect.Type, meanings map[string]string) {
	for field := range t.Fields() {
		if field.Anonymous {
			collect(field.Type, meanings)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		meanings[name] = field.Tag.Get("doc")
	}
}
