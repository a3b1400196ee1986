package dynamodb

import (
	"fmt"
	"strings"
)

// item draws an item with the key.
func (c *caller) item(key string) string {
	members := []string{key}
	for _, name := range []string{"a", "b", "c", "hash", "a.b", "name"} {
		if c.oneIn(3) {
			members = append(members, fmt.Sprintf("%q:%s", name, c.value()))
		}
	}
	for _, usual := range []struct {
		name  string
		value func() string
	}{{"n", c.number}, {"l", c.list}, {"m", c.object}, {"s", c.aSet}} {
		if c.oneIn(2) {
			members = append(members, fmt.Sprintf("%q:%s", usual.name, usual.value()))
		}
	}
	if c.oneIn(2) {
		members = append(members, fmt.Sprintf(`"gh":{"S":%q}`, c.pick("x", "y")))
	}
	if c.oneIn(2) {
		members = append(members, fmt.Sprintf(`"gr":{"N":%q}`, c.pick("1", "2")))
	}
	if c.oneIn(60) {
		members = append(members, c.pick(`"gh":{"N":"1"}`, `"gr":{"S":""}`, `"gh":{"S":""}`, `"":{"S":"x"}`, `"large":{"S":"`+strings.Repeat("x", 410_000)+`"}`))
	}
	return object(members...)
}

// value draws a value of any type, seldom a wrong one.
func (c *caller) value() string {
	switch {
	case c.oneIn(400):
		return c.pick(`{}`, `{"X":"1"}`, `{"S":"x","N":"1"}`, `{"N":"one"}`, `{"N":""}`, `{"SS":[]}`, `{"SS":["x","x"]}`, `{"NS":["1","1.0"]}`, `{"NULL":false}`, `{"S":5}`, `{"N":5}`, `{"B":"%"}`, `{"L":[{"S":null}]}`,
			`{"M":{"":{"S":"x"}}}`, `{"N":"1E200"}`, `{"N":"1E-200"}`, `{"N":"123456789012345678901234567890123456789"}`, `{"BOOL":"true"}`, strings.Repeat(`{"L":[`, 33)+strings.Repeat(`]}`, 33))
	case c.oneIn(6):
		return []func() string{c.list, c.object}[c.IntN(2)]()
	case c.oneIn(8):
		return c.aSet()
	case c.oneIn(10):
		return c.pick(`{"BOOL":true}`, `{"BOOL":false}`, `{"NULL":true}`)
	}
	return c.scalar()
}

func (c *caller) scalar() string {
	switch c.IntN(6) {
	case 0, 1:
		return c.number()
	case 2:
		return c.pick(`{"B":"AQI="}`, `{"B":"AQ=="}`, `{"B":""}`, `{"B":"/w=="}`)
	}
	return fmt.Sprintf(`{"S":%q}`, c.pick("x", "xy", "y", "", "é", "\u65e5\u672c", "a b", "0", "X"))
}

func (c *caller) number() string {
	if c.oneIn(10) {
		return fmt.Sprintf(`{"N":%q}`, c.pick("0.1", "-0", "007", "1e2", "1E125", "-1E-130", "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001", "12345678901234567890.123456789012345678", " 1", "+1", "1.", ".5", "1.50"))
	}
	return fmt.Sprintf(`{"N":"%d"}`, c.IntN(5)-1)
}

func (c *caller) list() string {
	var elements []string
	for range c.IntN(4) {
		elements = append(elements, c.value())
	}
	return `{"L":[` + strings.Join(elements, ",") + `]}`
}

func (c *caller) object() string {
	var members []string
	for _, name := range []string{"a", "b", "l", "hash"} {
		if c.oneIn(2) {
			members = append(members, fmt.Sprintf("%q:%s", name, c.value()))
		}
	}
	return `{"M":{` + strings.Join(members, ",") + `}}`
}

// aSet draws a set.
func (c *caller) aSet() string {
	return c.pick(`{"SS":["x","y"]}`, `{"SS":["x"]}`, `{"SS":["y","z"]}`, `{"SS":[""]}`, `{"NS":["1","2"]}`, `{"NS":["2"]}`, `{"NS":["-1","1.5"]}`, `{"BS":["AQ=="]}`, `{"BS":["AQI=","AQ=="]}`)
}
