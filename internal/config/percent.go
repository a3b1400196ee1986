package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Percent is a share, written as 10 or 10%.
type Percent float64

// UnmarshalText reads it.
func (p *Percent) UnmarshalText(text []byte) error {
	number := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(text)), "%"))
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || !(value >= 0 && value < 100) {
		return fmt.Errorf("%q is no share; expected 0 to less than 100, as in 10%%", text)
	}
	*p = Percent(value)
	return nil
}

// Share is the part of one.
func (p Percent) Share() float64 { return float64(p) / 100 }
