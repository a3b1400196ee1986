package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// user does what the plan says, and waits until all jobs have ended.
func (s *schedule) user(ctx context.Context) error {
	for i := range s.plan.backlog {
		m := &jobs.Message{Type: jobs.Submit, Kind: "Ping", Name: "backlog", Key: fmt.Sprint(i), Spec: json.RawMessage("{}")}
		if err := s.rig.User.Queue.Send(ctx, pick(s.at("lane", fmt.Sprint(i)), jobs.Lanes...), m, 0); err != nil {
			return err
		}
	}
	var hands sync.WaitGroup
	failed := make(chan error, len(s.plan.wishes)+3)
	if s.plan.heals > 0 {
		hands.Go(func() {
			if err := s.healing(ctx); err != nil {
				failed <- fmt.Errorf("healing: %w", err)
			}
		})
	}
	if w := s.plan.wheel; w != nil {
		w.launch.told = make(chan struct{})
	}
	if q := s.plan.quarry; q != nil {
		q.launch.told = make(chan struct{})
	}
	for _, w := range s.plan.wishes {
		hands.Go(func() {
			if err := s.ask(ctx, w); err != nil {
				failed <- fmt.Errorf("%s %s: %w", w.kind, w.name, err)
			}
		})
	}
	if w := s.plan.wheel; w != nil {
		hands.Go(func() {
			time.Sleep(max(w.launch.at-s.now(), 0) + time.Second)
			if err := s.drive(ctx, w); err != nil {
				failed <- fmt.Errorf("the rollout of %s: %w", wheelName, err)
			}
		})
	}
	if q := s.plan.quarry; q != nil {
		hands.Go(func() {
			time.Sleep(max(q.launch.at-s.now(), 0) + time.Second)
			if err := q.play(ctx, s); err != nil {
				failed <- fmt.Errorf("the patch day: %w", err)
			}
		})
	}
	hands.Wait()
	close(failed)
	if w := s.plan.wheel; w != nil && w.roll.id != "" {
		s.plan.wishes = append(s.plan.wishes, w.roll)
	}
	if w := s.plan.wheel; w != nil && w.undo() != nil && w.undo().id != "" {
		s.plan.wishes = append(s.plan.wishes, w.undo())
	}
	if q := s.plan.quarry; q != nil && q.restamp.id != "" {
		s.plan.wishes = append(s.plan.wishes, q.restamp)
	}
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	s.result.Jobs = len(s.plan.wishes)
	time.Sleep(max(stormy-s.now(), time.Minute)) // so that what is being reopened is not taken for ended
	if s.plan.heals > 0 {
		err = errors.Join(err, s.heal(ctx))
	}
	return err
}

// order is one thing that the user does for a wish, at an instant.
type order struct {
	at time.Duration
	do func() error
}

func (s *schedule) ask(ctx context.Context, w *wish) error {
	defer w.tell()
	orders := []order{{w.at, func() error { return s.submit(ctx, w) }}}
	for _, after := range w.again {
		orders = append(orders, order{w.at + after, func() error { return s.submit(ctx, w) }})
	}
	for _, after := range w.cancels {
		orders = append(orders, order{w.at + after, func() error {
			s.tell("the user cancels %s", w.id)
			return s.rig.Cancel(ctx, w.id, 1)
		}})
	}
	for _, after := range w.retries {
		orders = append(orders, order{w.at + after, func() error { return s.retry(ctx, w) }})
	}
	slices.SortStableFunc(orders, func(a, b order) int { return int(a.at - b.at) })
	for _, o := range orders {
		time.Sleep(max(o.at-s.now(), 0))
		if err := o.do(); err != nil {
			return err
		}
	}
	return nil
}

func (s *schedule) submit(ctx context.Context, w *wish) error {
	ids, err := s.rig.Submit(ctx, w.text, ".", w.key, nil)
	if err != nil {
		return err
	}
	s.tell("the user submits %s", ids[0])
	s.name(w, ids[0])
	w.tell()
	return nil
}

// name says which job a wish is; the first that it was told to be stays it.
func (s *schedule) name(w *wish, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.id == "" {
		w.id = id
	}
}

// tell lets go who waits for the wish's job.
func (w *wish) tell() {
	if w.told != nil {
		w.once.Do(func() { close(w.told) })
	}
}

// retry asks for another run where the last one ended badly, twice: the second is a double.
func (s *schedule) retry(ctx context.Context, w *wish) error {
	row, err := s.rig.User.Store.Load(ctx, w.id)
	if err != nil || row == nil || row.Job == nil || !row.Job.Finished() || row.Job.State == jobs.Succeeded {
		return err
	}
	s.tell("the user retries %s, which %s", w.id, row.Job.State)
	return errors.Join(s.rig.Retry(ctx, w.id, row.Job.Run), s.rig.Retry(ctx, w.id, row.Job.Run))
}

// troubles lets EC2 do what the plan says that it does by itself.
func (s *schedule) troubles(ctx context.Context, over <-chan struct{}) {
	list := slices.Clone(s.plan.troubles)
	slices.SortStableFunc(list, func(a, b trouble) int { return int(a.at - b.at) })
	for _, t := range list {
		select {
		case <-time.After(max(t.at-s.now(), 0)):
		case <-over:
			return
		case <-ctx.Done():
			return
		}
		s.tell("EC2: %s %s", t.control, t.body)
		if _, err := s.rig.Endpoint.Control(t.control, json.RawMessage(t.body)); err != nil {
			s.violate("the endpoint refuses %s %s: %v", t.control, t.body, err)
		}
	}
}

// settle makes things that are not ours, some of which look as if they were, and gives what EC2 holds of them.
func (s *schedule) settle(ctx context.Context) (map[string]string, error) {
	own := s.rig.User.EC2.For(jobs.Target{})
	alike := map[string]string{jobs.TagJob: "bake-web-aaaaaaaaaaaaaaaa", jobs.TagIncarnation: "aaaaaaaaaaaaaaaa", jobs.TagRun: "1", jobs.TagThing: "builder"}
	other := map[string]string{jobs.TagInstallation: "another", jobs.TagJob: "launch-front-aaaaaaaaaaaaaaaa", jobs.TagIncarnation: "bbbbbbbbbbbbbbbb", "Name": "front-0001"}
	for i, tags := range []map[string]string{nil, alike, other} {
		_, err := own.Launch(ctx, cloud.LaunchRequest{Token: fmt.Sprintf("foreign-%d", i), ImageID: s.arm64(), Type: "t4g.small", Min: 1, Max: 1, InstanceTags: tags, VolumeTags: tags})
		if err != nil {
			return nil, err
		}
	}
	if w := s.plan.wheel; w != nil {
		if err := w.settle(ctx, s); err != nil {
			return nil, fmt.Errorf("the wheel's image: %w", err)
		}
	}
	if q := s.plan.quarry; q != nil {
		if err := q.settle(ctx, s); err != nil {
			return nil, fmt.Errorf("the quarry's images: %w", err)
		}
	}
	if z := s.plan.plaza; z != nil {
		if err := z.settle(ctx, s); err != nil {
			return nil, fmt.Errorf("the plaza's AMI: %w", err)
		}
	}
	time.Sleep(time.Minute)
	s.begun = time.Now()
	s.foreign = map[string]bool{}
	all := s.standing()
	if w := s.plan.wheel; w != nil && w.group != nil {
		_, things, err := s.members(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range things {
			delete(all, id)
		}
	}
	if w := s.plan.wheel; w != nil && w.settlers != nil {
		for _, id := range w.settlers.note(s) {
			delete(all, id)
		}
	}
	if z := s.plan.plaza; z != nil {
		delete(all, z.golden)
	}
	for id := range all {
		s.foreign[id] = true
	}
	return all, nil
}
