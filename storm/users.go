package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

const (
	baseImage  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
	copyRegion = "us-east-1"
	shareWith  = "111122223333"
	keeps      = 3 // versions, in lines that keep only so many
	most       = 60
)

// imageWish is what a bake's versions are to be like. It is the same for all of a line.
type imageWish struct {
	copied, shared bool
	keep           int // 0: all
}

// wishOf is the line's: one plain, one copied to another region, one shared and kept short.
func wishOf(line int) imageWish {
	switch line % 3 {
	case 0:
		return imageWish{copied: true, keep: keeps}
	case 1:
		return imageWish{shared: true, keep: keeps}
	}
	return imageWish{}
}

// parameterOf is where a line publishes its current AMI.
func parameterOf(line string) string { return "/images/" + line }

// imageUser bakes one line of images, one or two versions at a time.
func (s *storm) imageUser(ctx context.Context, line string, number int) error {
	dice := s.dice(line)
	for !s.enough() {
		var round []*request
		for range 1 + dice.IntN(2) {
			r, err := s.bake(line, wishOf(number), dice)
			if err != nil {
				return err
			}
			round = append(round, r)
		}
		if err := s.carryAll(ctx, round); err != nil {
			return err
		}
	}
	return nil
}

// firstImage bakes the plain line's first version before anything is killed, so that fleets can be rolled from the beginning.
func (s *storm) firstImage(ctx context.Context) error {
	const plain = lines - 1
	line, wish := fmt.Sprintf("image-%d", plain), wishOf(plain)
	r, err := s.request(bakeSpec(line, wish, 0, soundCheck, false), mischief{priority: jobs.Normal, cancel: -1, cancelRetry: -1})
	if err != nil {
		return err
	}
	r.image = wish
	return s.carry(ctx, r)
}

func (s *storm) carryAll(ctx context.Context, round []*request) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, r := range round {
		all.Go(func() error { return s.carry(ctx, r) })
	}
	return all.Wait()
}

func (s *storm) bake(line string, wish imageWish, dice *rand.Rand) (*request, error) {
	mischief, fails, late, tests := drawMischief(dice), dice.IntN(100) < 25, dice.IntN(2) == 0, dice.IntN(100) < 50
	number, check := dice.Uint32(), soundCheck
	switch {
	case fails && late:
		check, tests = "test -s /run/storm", true // what is there on the builder is not on a server of the AMI
	case fails:
		check = "test -s /etc/calm"
	}
	r, err := s.request(bakeSpec(line, wish, number, check, tests), mischief)
	if err != nil {
		return nil, err
	}
	r.fails, r.image = fails, wish
	return r, nil
}

// soundCheck passes on a builder and on a server of its AMI.
const soundCheck = "test -s /etc/storm"

func bakeSpec(line string, wish imageWish, number uint32, check string, tests bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "kind: Bake\nname: %s\nspec:\n  from: {parameter: %s}\n  builder: {types: [c7g.large, m7g.large]}\n", line, baseImage)
	fmt.Fprintf(&text, "  steps:\n    - run: echo %d > /etc/storm; cp /etc/storm /run/storm\n    - run: systemctl is-system-running || true\n", number)
	fmt.Fprintf(&text, "  verify:\n    - run: %s\n  bootTest: %t\n  publish: {parameter: %s}\n", check, tests, parameterOf(line))
	if wish.copied {
		fmt.Fprintf(&text, "  copyTo: {%s: {}}\n", copyRegion)
	}
	if wish.shared {
		fmt.Fprintf(&text, "  share: {accounts: [%q]}\n", shareWith)
	}
	if wish.keep > 0 {
		fmt.Fprintf(&text, "  keep: {versions: %d}\n", wish.keep)
	}
	return text.String()
}

// fleetUser changes one fleet, again and again. One change at a time, or two at once that have to stand in line; after
// each round the fleet must be what the ended jobs say, in one order or the other.
func (s *storm) fleetUser(ctx context.Context, fleet string) error {
	dice := s.dice(fleet)
	var held ordinals.Set
	for !s.enough() {
		round, err := s.fleetRound(fleet, held, dice)
		if err != nil {
			return err
		}
		if err := s.carryAll(ctx, round); err != nil {
			return err
		}
		if held, err = s.compare(ctx, fleet, held, round); err != nil {
			return err
		}
	}
	return nil
}

func (s *storm) fleetRound(fleet string, held ordinals.Set, dice *rand.Rand) ([]*request, error) {
	two := dice.IntN(100) < 30
	first, err := s.fleetRequest(fleet, held, dice)
	if err != nil || !two {
		return []*request{first}, err
	}
	second, err := s.fleetRequest(fleet, held, dice)
	if err != nil {
		return nil, err
	}
	for _, r := range []*request{first, second} {
		r.besideATermination = first.change.shrinks() || second.change.shrinks()
		if r.change.shrinks() { // what a cancelled termination leaves is only known if nothing else happens meanwhile
			r.mischief.cancel, r.mischief.cancelRetry = -1, -1
		}
	}
	return []*request{first, second}, nil
}

func (s *storm) fleetRequest(fleet string, held ordinals.Set, dice *rand.Rand) (*request, error) {
	mischief, c := drawMischief(dice), drawChange(dice, held)
	image := s.someImage(dice)
	if c.roll != "" && strings.HasPrefix(image, "ssm:") { // there is no image of ours yet
		c = change{count: held.Len()}
	}
	r, err := s.request(fleetSpec(fleet, image, c), mischief)
	if err != nil {
		return nil, err
	}
	r.change = c
	return r, nil
}

// fleetSpec is the change as a document.
func fleetSpec(fleet, image string, c change) string {
	switch {
	case c.roll == byRollout:
		return fmt.Sprintf("kind: Rollout\nname: %s\nspec: {fleet: %s, image: %s, surge: 50%%, canary: {count: 1}, waves: [100%%]}\n", fleet, fleet, image)
	case c.roll == byRestamp:
		return fmt.Sprintf("kind: Restamp\nname: %s-day\nspec:\n  images: {select: [%s]}\n  fleets: {select: [%s]}\n  rollout: {surge: 50%%, waves: [50%%, 100%%]}\n", fleet, image, fleet)
	case c.shrinks():
		return fmt.Sprintf("kind: Terminate\nname: %s-down\nspec: {fleet: %s, %s}\n", fleet, fleet, c.spec())
	}
	return fmt.Sprintf("kind: Launch\nname: %s\nspec:\n  image: %s\n  count: %d\n  hostname: %s-{ordinal:04}\n", fleet, image, c.count, fleet) +
		"  pools:\n    - {types: [m7g.medium, c7g.medium]}\n    - {types: [t4g.medium]}\n  settings: {all: {cluster: storm}}\n"
}

// someImage is a line that has a version, else the vendor's AMI.
func (s *storm) someImage(dice *rand.Rand) string {
	first := dice.IntN(lines)
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range lines {
		line := fmt.Sprintf("image-%d", (first+n)%lines)
		for _, r := range s.requests {
			if r.name == line && (r.ended[1] == succeeded || r.ended[2] == succeeded) {
				return line
			}
		}
	}
	return "ssm:" + baseImage
}

// settling is how long a fleet may take to be what the jobs say: what a late call made has to be reaped first.
const settling = 45 * time.Second

// compare waits until EC2 has what the round may have led to, and gives what it has.
func (s *storm) compare(ctx context.Context, fleet string, held ordinals.Set, round []*request) (ordinals.Set, error) {
	s.mu.Lock()
	wanted := outcomes(held, round)
	s.mu.Unlock()
	end := time.Now().Add(settling)
	for {
		world, _, err := s.inspect(ctx)
		if err != nil {
			return held, err
		}
		has := holders(world.Instances, fleet)
		for _, w := range wanted {
			if w.fits(has.ordinals()) {
				s.expect(fleet, expectedFleet{ordinals: has.ordinals(), round: round})
				return has.ordinals(), nil
			}
		}
		if time.Now().After(end) {
			s.find(finding{class: wrong, what: fmt.Sprintf("%s has the ordinals %s after %s; expected %s", fleet, orNone(has.ordinals()), tell(round), tellAll(wanted)), job: round[0].id})
			s.expect(fleet, expectedFleet{ordinals: has.ordinals(), round: round})
			return has.ordinals(), nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return held, err
		}
	}
}

func (s *storm) expect(fleet string, e expectedFleet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fleets[fleet] = e
}
