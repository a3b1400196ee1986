package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/queue"
)

// mending is what is done to many dead letters at once.
type mending struct {
	verb, done string
	what       string // it does to a letter, for the question
	act        func(ctx context.Context, d *queue.Dead, l queue.Letter) error
}

// mended is what came of it, as JSON and YAML show it.
type mended struct {
	Matched int            `json:"matched"`
	Done    int            `json:"done"`
	Failed  []failedLetter `json:"failed,omitempty"`
	Letters []mendedLetter `json:"letters,omitempty"`
	Read    int            `json:"read"`
	About   int            `json:"about"`
	Whole   bool           `json:"whole"`
}

type mendedLetter struct {
	ID  string `json:"id"`
	Job string `json:"job,omitempty"`
}

type failedLetter struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

func (c *command) deadRedrive() *cobra.Command {
	return c.mend(mending{
		verb: "redrive", done: "redriven", what: "goes back to the queue that it came from",
		act: func(ctx context.Context, d *queue.Dead, l queue.Letter) error { return d.Redrive(ctx, l, laneOf(l)) },
	}, "Send dead letters back to the queues that they came from",
		`Sends each letter to the queue that it came from, and then deletes it. A job keeps its identity: a submission without a key
is known by the id that its message had first, so a letter that is redriven twice is the same job. Mend first what the
reason names, or it comes back.`)
}

func (c *command) deadDrop() *cobra.Command {
	return c.mend(mending{
		verb: "drop", done: "dropped", what: "is deleted for good",
		act: func(ctx context.Context, d *queue.Dead, l queue.Letter) error { return d.Drop(ctx, l) },
	}, "Delete dead letters for good", "Deletes the letters. Whoever sent them has to send them again. SQS deletes them by itself after 14 days.")
}

func (c *command) mend(m mending, summary, long string) *cobra.Command {
	var f letterFilter
	var all, yes bool
	cmd := &cobra.Command{
		Use: m.verb + " [ID…]", Short: summary, Long: long,
		RunE: func(cmd *cobra.Command, ids []string) error {
			f.ids = ids
			if f.empty() && !all {
				return exitf(ExitUsage, "%s which? Give ids, a filter such as --reason TEXT, or --all", m.verb)
			}
			if err := f.check(); err != nil {
				return err
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			return c.mendChosen(cmd.Context(), a, m, &f, yes)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return cmd
}

// mendChosen shows what was chosen and how many, asks, and acts.
func (c *command) mendChosen(ctx context.Context, a *app.App, m mending, f *letterFilter, yes bool) (err error) {
	d, err := a.Queue.ReadDead(ctx, queue.Reading{}, f.chooser(time.Now()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Release(ctx)) }()
	c.tellPart(d)
	if len(d.Letters) == 0 {
		return exitf(ExitNotFound, "no dead letter matches, of %d that were read; `stampmill dead list` shows all", d.Read)
	}
	if err := c.confirm(yes, question(m, d)); err != nil {
		return err
	}
	if time.Until(d.Held) < queue.MendTime { // it took long to answer: others will have the letters soon
		if err := d.Release(ctx); err != nil {
			return err
		}
		chosen := map[string]bool{}
		for _, l := range d.Letters {
			chosen[l.ID] = true
		}
		again, err := a.Queue.ReadDead(ctx, queue.Reading{}, func(l queue.Letter) bool { return chosen[l.ID] })
		if err != nil {
			return err
		}
		again.About, d = d.About, again
	}
	return c.report(m, d, mendAll(ctx, m, d))
}

// question names the count first, then the first few reasons.
func question(m mending, d *queue.Dead) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s matched, of %d that were read; each %s:\n", plural(len(d.Letters), "dead letter"), d.Read, m.what)
	counts := map[string]int{}
	var reasons []string
	for _, l := range d.Letters {
		reason := clip(oneLine(l.Reason), 100)
		if counts[reason] == 0 {
			reasons = append(reasons, reason)
		}
		counts[reason]++
	}
	for i, reason := range reasons {
		if i == 10 {
			fmt.Fprintf(&b, "  … and %d more reasons\n", len(reasons)-i)
			break
		}
		fmt.Fprintf(&b, "  %6d  %s\n", counts[reason], orDefault(reason, "no reason is given"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// mendAll acts on the letters, many at once so that they share requests, and no more once ctx has ended.
func mendAll(ctx context.Context, m mending, d *queue.Dead) []error {
	errs := make([]error, len(d.Letters))
	places := make(chan struct{}, 100)
	var work sync.WaitGroup
	for i, l := range d.Letters {
		places <- struct{}{}
		work.Go(func() {
			if errs[i] = ctx.Err(); errs[i] == nil {
				errs[i] = m.act(ctx, d, l)
			}
			<-places
		})
	}
	work.Wait()
	return errs
}

func (c *command) report(m mending, d *queue.Dead, errs []error) error {
	result := mended{Matched: len(d.Letters), Read: d.Read, About: d.About, Whole: d.Whole}
	for i, l := range d.Letters {
		if errs[i] != nil {
			result.Failed = append(result.Failed, failedLetter{l.ID, errs[i].Error()})
			continue
		}
		result.Done++
		result.Letters = append(result.Letters, mendedLetter{l.ID, letterOf(l).Job})
	}
	err := c.print(result, func(w io.Writer) {
		row(w, fmt.Sprintf("%s %s", plural(result.Done, "dead letter"), m.done))
		for _, f := range result.Failed {
			row(w, f.ID, "not "+m.done, f.Error)
		}
	})
	if err == nil && len(result.Failed) > 0 {
		err = exitf(ExitFailure, "%d of %d were not %s; they stay in the dead letters: run it again", len(result.Failed), result.Matched, m.done)
	}
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
