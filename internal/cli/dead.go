package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/aws/queue"
)

func (c *command) dead() *cobra.Command {
	cmd := &cobra.Command{Use: "dead", Short: "List, show, redrive and drop what nobody could work on"}
	cmd.AddCommand(c.deadList(), c.deadShow(), c.deadRedrive(), c.deadDrop())
	return cmd
}

func (c *command) deadList() *cobra.Command {
	var f letterFilter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters, the oldest first", Args: cobra.NoArgs,
		Long: `Lists the dead letters with their reasons. A queue cannot be browsed: the letters are received and given back at once, so
for a moment nobody else sees them. Of a very long queue a part is read, and said so.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return exitf(ExitUsage, "--limit is %d; expected 1 or more", limit)
			}
			return c.lookAtDead(cmd.Context(), &f, func(d *queue.Dead) error {
				list := viewsOf(d.Letters[:min(limit, len(d.Letters))])
				if err := c.print(list, func(w io.Writer) { letterTable(w, list, time.Now()) }); err != nil {
					return err
				}
				if more := len(d.Letters) - len(list); more > 0 {
					fmt.Fprintf(c.Err, "%d more match; --limit shows more\n", more)
				}
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 200, "how many are shown")
	return cmd
}

func (c *command) deadShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a dead letter: reason, identity, body", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := letterFilter{ids: args}
			return c.lookAtDead(cmd.Context(), &f, func(d *queue.Dead) error {
				switch len(d.Letters) {
				case 0:
					return exitf(ExitNotFound, "no dead letter begins with %s; `stampmill dead list` shows all", oneLine(args[0]))
				case 1:
				default:
					return exitf(ExitNotFound, "%d dead letters begin with %s; give more of the id", len(d.Letters), oneLine(args[0]))
				}
				v := letterOf(d.Letters[0])
				v.Body = string(d.Letters[0].Body)
				return c.print(v, func(w io.Writer) { showLetter(w, v, time.Now()) })
			})
		},
	}
}

// lookAtDead reads the chosen letters, lets them be looked at, and gives them back.
func (c *command) lookAtDead(ctx context.Context, f *letterFilter, look func(*queue.Dead) error) error {
	if err := f.check(); err != nil {
		return err
	}
	a, err := c.open(ctx)
	if err != nil {
		return err
	}
	d, err := a.Queue.ReadDead(ctx, queue.Reading{}, f.chooser(time.Now()))
	if err != nil {
		return err
	}
	err = look(d)
	c.tellPart(d)
	return errors.Join(err, d.Release(ctx))
}

// tellPart says what was not read.
func (c *command) tellPart(d *queue.Dead) {
	if !d.Whole {
		fmt.Fprintln(c.Err, sampled(d))
	}
	if d.Hidden > 0 {
		fmt.Fprintf(c.Err, "about %s in other readers' hands and not read; what nobody deletes appears again within ten minutes\n", plural(d.Hidden, "dead letter"))
	}
}

// sampled says that there is more than was read.
func sampled(d *queue.Dead) string {
	return fmt.Sprintf("only a part was read: %d of about %d dead letters; --reason, --kind and --name choose among these %d", d.Read, max(d.About, d.Read), d.Read)
}

func viewsOf(letters []queue.Letter) []letterView {
	views := make([]letterView, len(letters))
	for i, l := range letters {
		views[i] = letterOf(l)
	}
	return views
}

func letterTable(w io.Writer, list []letterView, now time.Time) {
	row(w, "ID", "FROM", "TYPE", "JOB", "AGE", "REASON")
	for _, v := range list {
		row(w, v.ID, v.From, clip(v.Type, 12), clip(v.Job, 100), short(now.Sub(v.Sent)), clip(oneLine(v.Reason), 120))
	}
}

// shownBody is how much of a body a person is shown; JSON and YAML have all of it.
const shownBody = 64 << 10

func showLetter(w io.Writer, v letterView, now time.Time) {
	for _, field := range [][2]string{
		{"id", v.ID}, {"original id", v.OriginalID}, {"from", v.From}, {"type", v.Type}, {"kind", v.Kind}, {"name", v.Name}, {"job", v.Job},
		{"here since", fmt.Sprintf("%s (%s)", v.Sent.UTC().Format(time.RFC3339), ago(v.Sent, now))}, {"reason", v.Reason},
	} {
		if field[1] != "" {
			row(w, field[0], field[1])
		}
	}
	body := []byte(v.Body)
	var indented bytes.Buffer
	if json.Indent(&indented, body, "", "  ") == nil {
		body = indented.Bytes()
	}
	rest := max(len(body)-shownBody, 0)
	fmt.Fprintf(w, "\n%s\n", lines(string(body[:len(body)-rest])))
	if rest > 0 {
		fmt.Fprintf(w, "… and %d bytes more; -o json has all of them\n", rest)
	}
}
