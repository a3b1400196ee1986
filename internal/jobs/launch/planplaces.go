package launch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
)

// PlannedPlace is how many servers one place would be asked for first.
type PlannedPlace struct {
	Pool          int    `json:"pool"` // counted from 1
	Type          string `json:"type,omitempty"`
	Market        string `json:"market"`
	Zone          string `json:"zone,omitempty"`
	Subnet        string `json:"subnet,omitempty"`
	FreeAddresses int    `json:"freeAddresses,omitempty"`
	Servers       int    `json:"servers"`
}

// sayPlaces tells where the servers would be asked for first. What a place does not grant, the next one is asked for.
func (l *launch) sayPlaces(plan *jobs.Plan, d *Planned) {
	if len(l.progress.Ladder) == 0 {
		return
	}
	at := map[Rung]int{}
	for _, part := range l.parts(d.Planned) {
		first := l.progress.Ladder.Turned(part.number).From(part.first - 1)[0]
		i, seen := at[first]
		if !seen {
			i = len(d.Places)
			at[first] = i
			place := PlannedPlace{Pool: first.Pool + 1, Type: first.Type, Market: "on-demand", Zone: first.Zone, Subnet: first.Subnet,
				FreeAddresses: d.survey.subnets[first.Subnet].FreeAddresses}
			if first.Spot {
				place.Market = "spot"
			}
			d.Places = append(d.Places, place)
		}
		d.Places[i].Servers += part.ordinals.Len()
	}
	about := "asked first"
	for _, p := range d.Places {
		parts := []string{fmt.Sprintf("%s of pool %d", plural(p.Servers, "server", "servers"), p.Pool), p.Type, p.Zone, p.Subnet}
		text := strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ", ")
		if p.Subnet != "" {
			text += fmt.Sprintf(" (%d free addresses)", p.FreeAddresses)
		}
		plan.Say(about, "%s", text)
		about = ""
	}
}

// grouped writes a ladder as people read it: a type, its market and its zones in a line.
func grouped(ladder Ladder, pools []Pool) []string {
	var lines []string
	for begin := 0; begin < len(ladder); {
		first, end := ladder[begin], begin
		var places []string
		for end < len(ladder) && ladder[end].Pool == first.Pool && ladder[end].Type == first.Type {
			if r := ladder[end]; r.Subnet != "" {
				places = append(places, r.place(pools))
			}
			end++
		}
		market := "on-demand"
		if first.Spot {
			market = "spot"
		}
		where := "where the launch template says"
		if len(places) > 0 {
			where = strings.Join(places, ", ")
		}
		lines = append(lines, orWord(first.Type, "the launch template's type")+", "+market+", "+where)
		begin = end
	}
	return lines
}

// place is a rung's zone, and its subnet where the spec chooses one.
func (r Rung) place(pools []Pool) string {
	if r.Zone == "" {
		return r.Subnet
	}
	if r.Pool >= len(pools) || pools[r.Pool].Subnets.IsZero() {
		return r.Zone
	}
	return r.Zone + " (" + r.Subnet + ")"
}
