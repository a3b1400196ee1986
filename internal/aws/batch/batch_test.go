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

// calls is a fetch that remembers what it was asked for; odd keys are unknown.
type calls struct {
	mu    sync.Mutex
	sizes []int
	takes time.Duration
	err   error
	ended error
}

func (c *calls) fetch(ctx context.Context, keys []int) (map[int]string, error) {
	c.mu.Lock()
	c.sizes = append(c.sizes, len(keys))
	c.mu.Unlock()
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
		c.ended = ctx.Err()
		return nil, ctx.Err()
	}
	found := map[int]string{}
	for _, key := range keys {
		if key%2 == 0 {
			found[key] = fmt.Sprint(key)
		}
	}
	return found, c.err
}

func TestCallersThatComeTogetherShareACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &calls{takes: time.Second}
		b := New(Options{Idle: 50 * time.Millisecond}, c.fetch)
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				time.Sleep(time.Duration(i%4) * 30 * time.Millisecond) // each keeps the window open for the next
				got, err := b.Get(t.Context(), i, 1000)
				if err != nil || got[1000] != "1000" || len(got) != 1+(i+1)%2 {
					t.Errorf("caller %d got %v, %v", i, got, err)
				}
			})
		}
		callers.Wait()
		if !slices.Equal(c.sizes, []int{101}) {
			t.Errorf("calls of %v keys, expected one of 101", c.sizes)
		}
	})
}

func TestAWindowEndsWhenItIsFullOrOld(t *testing.T) {
	t.Parallel()
	t.Run("full", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &calls{}
			keys := make([]int, 25)
			for i := range keys {
				keys[i] = i * 2
			}
			got, err := New(Options{Size: 10}, c.fetch).Get(t.Context(), keys...)
			slices.Sort(c.sizes)
			if err != nil || len(got) != 25 || !slices.Equal(c.sizes, []int{5, 10, 10}) {
				t.Errorf("%d values by calls of %v keys, %v", len(got), c.sizes, err)
			}
		})
	})
	t.Run("old", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &calls{}
			b := New(Options{Idle: 50 * time.Millisecond, Max: time.Second}, c.fetch)
			begun := time.Now()
			var callers sync.WaitGroup
			callers.Go(func() {
				if _, err := b.Get(t.Context(), 0); err != nil || time.Since(begun) != time.Second {
					t.Errorf("answered after %v, %v; expected 1 s", time.Since(begun), err)
				}
			})
			for i := range 30 {
				time.Sleep(40 * time.Millisecond)
				callers.Go(func() {
					if _, err := b.Get(t.Context(), i); err != nil {
						t.Error(err)
					}
				})
			}
			callers.Wait()
		})
	})
}

func TestACallerThatLeavesBreaksNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &calls{takes: 10 * time.Second}
		b := New(Options{}, c.fetch)
		leaving, leave := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if _, err := b.Get(leaving, 2); !errors.Is(err, context.Canceled) {
				t.Errorf("the one that left got %v", err)
			}
		})
		callers.Go(func() {
			if got, err := b.Get(t.Context(), 4); err != nil || got[4] != "4" {
				t.Errorf("the one that stayed got %v, %v", got, err)
			}
		})
		time.Sleep(time.Second)
		leave()
		callers.Wait()
	})
}

func TestACallThatNobodyWaitsForIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &calls{takes: time.Hour}
		b := New(Options{}, c.fetch)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Get(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if c.ended == nil {
			t.Error("the call goes on")
		}
	})
}

func TestAFailureIsEveryCallersOfThatCallOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &calls{err: errors.New("throttled")}
		b := New(Options{}, c.fetch)
		if _, err := b.Get(t.Context(), 2); err == nil {
			t.Error("the failure is lost")
		}
		c.err = nil
		if got, err := b.Get(t.Context(), 2); err != nil || got[2] != "2" {
			t.Errorf("the next call got %v, %v", got, err)
		}
		panics := New(Options{}, func(context.Context, []int) (map[int]int, error) { panic("a bug") })
		if _, err := panics.Get(t.Context(), 1); err == nil {
			t.Error("a panic is lost")
		}
	})
}
