package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// look lets the callers of the keys come one after the other, spread over a second, as a queue delivers them; no more than
// slots of them at once.
func look(t *testing.T, b *Batcher[int, string], keys []int, slots int) {
	t.Helper()
	free := make(chan struct{}, slots)
	var callers sync.WaitGroup
	for i, key := range keys {
		time.Sleep(time.Second / time.Duration(len(keys)))
		free <- struct{}{}
		callers.Go(func() {
			defer func() { <-free }()
			if got, err := b.Get(t.Context(), key); err != nil || got[key] != fmt.Sprint(key) {
				t.Errorf("caller %d of %d got %q, %v", i, key, got[key], err)
			}
		})
	}
	callers.Wait()
}

func evens(n int) []int {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = 2 * i
	}
	return keys
}

func TestManyThatLookAtCommonInstantsTakeNoMoreCallsThanTheirKeysFill(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ keys, slots, calls int }{{1, 64, 1}, {64, 64, 1}, {200, 64, 1}, {201, 64, 2}, {1000, 64, 5}, {1000, 32, 5}} {
		t.Run(fmt.Sprintf("%d keys, %d slots", tc.keys, tc.slots), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := &calls{takes: 100 * time.Millisecond}
				b := New(Options{Along: 200}, c.fetch)
				keys, tick := evens(tc.keys), time.Now()
				for n := range 5 {
					time.Sleep(time.Until(tick.Add(time.Duration(n) * 10 * time.Second)))
					c.sizes = nil
					look(t, b, keys, tc.slots)
					if n >= 3 && len(c.sizes) != tc.calls { // the intervals are known by then
						t.Errorf("calls of %v keys at tick %d, expected %d", c.sizes, n, tc.calls)
					}
					if most := slices.Max(c.sizes); most > 200 {
						t.Errorf("a call asked for %d keys", most)
					}
				}
			})
		})
	}
}

func TestAnAnswerAskedForAheadIsYoungAndHandedOutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &calls{}
		b := New(Options{Along: 10}, c.fetch)
		get := func(key int) {
			t.Helper()
			if got, err := b.Get(t.Context(), key); err != nil || got[key] == "" {
				t.Errorf("%d: %v, %v", key, got, err)
			}
		}
		tick := func(after time.Duration, calls int, what string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			c.sizes = nil
			get(2)
			time.Sleep(after)
			get(4)
			if len(c.sizes) != calls {
				t.Errorf("%s: calls of %v keys, expected %d", what, c.sizes, calls)
			}
		}
		tick(0, 2, "nothing is known")
		tick(0, 2, "the interval is not known")
		tick(time.Second, 1, "it came along")
		get(4)
		if len(c.sizes) != 2 {
			t.Error("it was handed out twice")
		}
		time.Sleep(9 * time.Second)
		get(2)
		tick(1600*time.Millisecond, 2, "it is too old")
	})
}

func TestACallerThatKnowsOfNewsAsksItself(t *testing.T) {
	t.Parallel()
	type news struct{}
	synctest.Test(t, func(t *testing.T) {
		c := &calls{}
		b := New(Options{Along: 10, Fresh: func(ctx context.Context) bool { return ctx.Value(news{}) != nil }}, c.fetch)
		ask := func(ctx context.Context, keys ...int) {
			t.Helper()
			for _, key := range keys {
				if _, err := b.Get(ctx, key); err != nil {
					t.Error(err)
				}
			}
		}
		for range 3 {
			ask(t.Context(), 2, 4)
			time.Sleep(10 * time.Second)
		}
		ask(t.Context(), 2)
		c.sizes = nil
		ask(context.WithValue(t.Context(), news{}, true), 4)
		if len(c.sizes) != 1 {
			t.Errorf("calls of %v keys, expected one for who knows of news", c.sizes)
		}
		time.Sleep(10 * time.Second)
		ask(t.Context(), 2)
		b.Forget(4)
		c.sizes = nil
		ask(t.Context(), 4)
		if len(c.sizes) != 1 {
			t.Errorf("calls of %v keys, expected one for what was changed meanwhile", c.sizes)
		}
	})
}

func TestAKeyThatSpoilsACallFailsItsOwnCallerOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spoilt, asked := errors.New("13 is malformed"), 0
		b := New(Options{Blames: func(err error) bool { return errors.Is(err, spoilt) }}, func(_ context.Context, keys []int) (map[int]string, error) {
			asked++
			if slices.Contains(keys, 13) {
				return nil, spoilt
			}
			found := map[int]string{}
			for _, key := range keys {
				found[key] = fmt.Sprint(key)
			}
			return found, nil
		})
		var callers sync.WaitGroup
		for key := range 100 {
			callers.Go(func() {
				got, err := b.Get(t.Context(), key)
				if (key == 13) != errors.Is(err, spoilt) || key != 13 && got[key] != fmt.Sprint(key) {
					t.Errorf("the caller of %d got %v, %v", key, got, err)
				}
			})
		}
		callers.Wait()
		if asked > 1+2*7 {
			t.Errorf("%d calls; halves take 15 at most", asked)
		}
	})
}

func TestWhatNobodyAsksForAnyMoreIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{Along: 10}, (&calls{}).fetch)
		for key := range 1000 {
			if _, err := b.Get(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.habits) > keptPerCall*10 {
			t.Errorf("%d keys are remembered", len(b.habits))
		}
		time.Sleep(2 * keptFor)
		if _, err := b.Get(t.Context(), 5000); err != nil {
			t.Fatal(err)
		}
		if len(b.habits) != 0 {
			t.Errorf("%d keys are still remembered", len(b.habits))
		}
	})
}
