package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/rig"
)

// plan is what the user wants, and what EC2 will not give.
type plan struct {
	wishes   []*wish
	capacity []ec2.CapacityRule
	backlog  int // pings that stand in the queue before anybody works
	troubles []trouble
	wheel    *wheel // a rollout; nil: none
	quarry   *quarry
	plaza    *plaza
	// heals is when a policy is applied that heals all fleets; 0: never. Servers are killed and tick messages sent meanwhile.
	heals        time.Duration
	kills, ticks []time.Duration
}

// wish is one job of the user's.
type wish struct {
	kind, name, key, text string
	at                    time.Duration
	again                 []time.Duration // the same submission, once more
	cancels               []time.Duration // after it was submitted
	retries               []time.Duration // a look, and another run if it ended badly
	// mayFail: without faults it can still fail; mustFail: it must never succeed.
	mayFail, mustFail bool
	// Of bakes: how many regions get an AMI. Of launches and terminates: the fleet, and how many servers it is to have.
	regions int
	fleet   string
	count   int
	// byOrdinal: it terminates some servers by their ordinals, and count says nothing.
	byOrdinal bool

	id string
	// told is closed once id says which job it is, or nothing will; nil where nobody waits for that.
	told chan struct{}
	once sync.Once
}

// trouble is something that EC2 does by itself, at an instant.
type trouble struct {
	at            time.Duration
	control, body string
}

const copyRegion = "us-east-1"

// arm64 is Amazon Linux in the rig's region.
func (d dice) arm64() string {
	for _, image := range seed.Images(rig.Region, int64(d.seed)) {
		if image.Architecture == "arm64" && image.Platform != "windows" {
			return image.ID
		}
	}
	panic("the endpoint has no arm64 AMI")
}

func drawPlan(d dice, only string) *plan {
	r := d.at("plan")
	p := &plan{}
	if only != "" {
		p.drawStory(d, only)
		p.draw(r)
		return p
	}
	base := d.arm64()
	for i := range 1 + r.IntN(4) {
		w := draws(r, i, base)
		w.key = fmt.Sprintf("key-%d", i)
		w.at = r.between(0, 8*time.Minute)
		if r.chance(0.3) {
			w.again = append(w.again, r.between(0, 20*time.Minute))
		}
		if r.chance(0.25) {
			w.cancels = append(w.cancels, r.between(0, 12*time.Minute))
			w.mayFail = true
			if r.chance(0.3) {
				w.cancels = append(w.cancels, w.cancels[0]+r.between(0, time.Minute))
			}
		}
		if r.chance(0.3) {
			w.retries = append(w.retries, r.between(5*time.Minute, 30*time.Minute))
		}
		p.wishes = append(p.wishes, w)
	}
	if r.chance(0.03) {
		p.backlog = 100 + r.IntN(200)
	}
	p.drawStory(d, drawnStory(d))
	p.draw(r)
	p.drawHealing(d)
	return p
}

// draws one job. A fleet's launches use few names, so that they meet.
func draws(r *draw, number int, base string) *wish {
	switch n := r.IntN(10); {
	case n < 4:
		return drawBake(r, base)
	case n < 7:
		return drawLaunch(r, base)
	case n < 9:
		return drawTerminate(r, number)
	default:
		w := &wish{kind: "Ping", name: fmt.Sprintf("ping-%d", number)}
		w.text = fmt.Sprintf("kind: Ping\nname: %s\nspec: {wait: %s}\n", w.name, pick(r, "0s", "30s", "10m", "20m"))
		return w
	}
}

func drawBake(r *draw, base string) *wish {
	w := &wish{kind: "Bake", name: pick(r, "web", "web", "db"), regions: 1}
	var b strings.Builder
	fmt.Fprintf(&b, "kind: Bake\nname: %s\nspec:\n  from: {ami: %s}\n", w.name, base)
	profile := ", instanceProfile: builder"
	if r.chance(0.05) { // its agent never answers
		profile, w.mustFail = "", true
	}
	fmt.Fprintf(&b, "  builder: {types: [m7g.large, m6g.large]%s}\n  steps:\n    - run: echo ready > /opt/ready\n", profile)
	switch {
	case r.chance(0.15):
		b.WriteString("    - reboot\n    - run: echo again >> /opt/ready\n")
	case r.chance(0.1):
		b.WriteString("    - {run: sleep 7200, timeout: 3m}\n")
		w.mustFail = true
	}
	b.WriteString("  verify:\n    - run: grep -q ready /opt/ready\n")
	if r.chance(0.15) {
		b.WriteString("    - run: test -e /opt/never\n")
		w.mustFail = true
	}
	fmt.Fprintf(&b, "  bootTest: %t\n", r.chance(0.3))
	if r.chance(0.25) {
		fmt.Fprintf(&b, "  copyTo: {%s: {}}\n", copyRegion)
		w.regions = 2
	}
	if r.chance(0.3) {
		b.WriteString("  share: {accounts: ['222222222222']}\n")
	}
	if r.chance(0.4) {
		fmt.Fprintf(&b, "  publish: {parameter: /images/%s}\n", w.name)
	}
	if r.chance(0.3) {
		b.WriteString("  keep: {versions: 1}\n")
	}
	w.text = b.String()
	return w
}

func drawLaunch(r *draw, base string) *wish {
	w := &wish{kind: "Launch", name: pick(r, "front", "front", "back"), count: 1 + r.IntN(9)}
	priority := pick(r, "high", "normal", "low")
	w.fleet = w.name
	image := base
	if r.chance(0.2) { // which may not be there
		image, w.mayFail = "web", true
	}
	w.text = fmt.Sprintf(`kind: Launch
name: %s
priority: %s
spec:
  image: %s
  count: %d
  pools:
    - {types: [m7g.large]}
    - {types: [m6g.large]}
    - {types: [c7g.large]}
  server: {instanceProfile: builder}
  hostname: %s-{ordinal:04}
%s`, w.name, priority, image, w.count, w.name, pick(r, "", "", "  healthy: {run: test -s /etc/hostname, within: 20m}\n", "  healthy: {statusChecks: true}\n"))
	return w
}

// chosenByOrdinal is how many servers a termination by ordinal names.
const chosenByOrdinal = 3

func drawTerminate(r *draw, number int) *wish {
	w := &wish{kind: "Terminate", name: fmt.Sprintf("down-%d", number), fleet: pick(r, "front", "back"), mayFail: true}
	w.count = r.IntN(5)
	how := fmt.Sprintf("to: %d", w.count)
	switch {
	case r.chance(0.25):
		w.count, how = 0, "all: true"
	case r.chance(0.3):
		w.byOrdinal, how = true, fmt.Sprintf("ordinals: [%d, 6-7]", w.count)
	}
	w.text = fmt.Sprintf("kind: Terminate\nname: %s\nspec: {fleet: %s, %s}\n", w.name, w.fleet, how)
	return w
}

// draw adds what EC2 does by itself. What it refuses a job may fail of.
func (p *plan) draw(r *draw) {
	fails := func() {
		for _, w := range p.wishes {
			w.mayFail = true
		}
	}
	if r.chance(0.3) {
		p.capacity = append(p.capacity, ec2.CapacityRule{Type: "m7g.large", Capacity: r.IntN(4)})
		p.troubles = append(p.troubles, trouble{r.between(time.Minute, 20*time.Minute), "capacity", `{"type":"m7g.large","capacity":-1}`})
	}
	if r.chance(0.15) {
		p.troubles = append(p.troubles, trouble{r.between(0, 10*time.Minute), "capacity", `{"type":"m6g.large","capacity":2}`},
			trouble{r.between(10*time.Minute, 30*time.Minute), "capacity", `{"type":"m6g.large","capacity":-1}`})
		fails()
	}
	if r.chance(0.25) {
		p.troubles = append(p.troubles, trouble{r.between(0, 10*time.Minute), "dead-launches", fmt.Sprintf(`{"count":%d}`, 1+r.IntN(3))})
		fails()
	}
	if r.chance(0.15) {
		p.troubles = append(p.troubles, trouble{r.between(0, 10*time.Minute), "image-failures", `{"count":1}`})
		fails()
	}
	if r.chance(0.15) {
		p.troubles = append(p.troubles, trouble{r.between(0, 10*time.Minute), "copy-failures", fmt.Sprintf(`{"count":1,"region":%q}`, copyRegion)})
		fails()
	}
}

// calm leaves out what EC2 does by itself.
func (p *plan) calm() {
	p.capacity, p.troubles, p.backlog, p.kills = nil, nil, 0, nil
	for _, w := range p.wishes {
		w.mayFail = w.mustFail || len(w.cancels) > 0 || w.kind == "Terminate" || strings.Contains(w.text, "image: web")
	}
}
