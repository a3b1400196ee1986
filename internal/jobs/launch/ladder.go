package launch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Rung is one place to ask for servers: a subnet, a type and a market of a pool. Empty fields are the launch template's.
type Rung struct {
	Pool   int    `json:"pool"`
	Type   string `json:"type,omitempty"`
	Subnet string `json:"subnet,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Spot   bool   `json:"spot,omitempty"`
}

func (r Rung) String() string {
	market := "on demand"
	if r.Spot {
		market = "spot"
	}
	var text strings.Builder
	text.WriteString(fmt.Sprintf("pool %d, %s", r.Pool+1, market))
	for _, part := range []string{r.Type, r.Zone, r.Subnet} {
		if part != "" {
			text.WriteString(", " + part)
		}
	}
	return text.String()
}

// Ladder is the places in the order in which they are asked: pool by pool, within a pool type by type, within a type
// subnet by subnet.
type Ladder []Rung

// rungs are one pool's: its types in its subnets, without those that EC2 does not offer in a subnet's zone. Without
// types or subnets, the launch template's are meant.
func rungs(pool int, spot bool, types []string, subnets []cloud.Subnet, offered map[string][]string) Ladder {
	if len(types) == 0 {
		types = []string{""}
	}
	if len(subnets) == 0 {
		subnets = []cloud.Subnet{{}}
	}
	var ladder Ladder
	for _, kind := range types {
		for _, subnet := range subnets {
			if kind != "" && subnet.Zone != "" && !slices.Contains(offered[kind], subnet.Zone) {
				continue
			}
			ladder = append(ladder, Rung{Pool: pool, Type: kind, Subnet: subnet.ID, Zone: subnet.Zone, Spot: spot})
		}
	}
	return ladder
}

// Turned is the ladder for one batch: within each pool and type, the subnets begin at another one, so that the batches
// spread over the zones.
func (l Ladder) Turned(batch int) Ladder {
	turned := make(Ladder, 0, len(l))
	for begin := 0; begin < len(l); {
		end := begin
		for end < len(l) && l[end].Pool == l[begin].Pool && l[end].Type == l[begin].Type {
			end++
		}
		group := l[begin:end]
		at := batch % len(group)
		turned = append(turned, group[at:]...)
		turned = append(turned, group[:at]...)
		begin = end
	}
	return turned
}

// From is the ladder with one pool's rungs first; the others stay in their order.
func (l Ladder) From(pool int) Ladder {
	var first, others Ladder
	for _, rung := range l {
		if rung.Pool == pool {
			first = append(first, rung)
		} else {
			others = append(others, rung)
		}
	}
	return append(first, others...)
}

// In is the ladder with the subnet's rungs first; the others stay in their order.
func (l Ladder) In(subnet string) Ladder {
	if subnet == "" {
		return l
	}
	var there, others Ladder
	for _, rung := range l {
		if rung.Subnet == subnet {
			there = append(there, rung)
		} else {
			others = append(others, rung)
		}
	}
	return append(there, others...)
}
