package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// node is one thing in the tree from a base AMI to the fleets.
type node struct {
	Name string `json:"name"` // web@41, ami-…, or a fleet's
	Kind string `json:"kind"` // ami, image, fleet
	// State is of versions, Servers how many a fleet has of its parent in the tree.
	State   string `json:"state,omitempty"`
	Servers int    `json:"servers,omitempty"`
	// Group is the Auto Scaling group that a fleet is; Unknown says why it could not be asked for its servers.
	Group    string  `json:"group,omitempty"`
	Unknown  string  `json:"unknown,omitempty"`
	Children []*node `json:"children,omitempty"`
}

func (c *command) imageLineage() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "lineage NAME[@N]", Short: "Show the tree from the base AMI to images and fleets", Args: cobra.ExactArgs(1),
		Long: `Shows what an image was baked from, up to the base AMI, and what was baked from it, down to the fleets that run it. Versions that
nobody can launch any more are left out, unless something hangs below them or --all is given.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, number, err := imageRef(args[0])
			if err != nil {
				return err
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			roots, err := lineage(cmd.Context(), a, name, number, all)
			if err != nil {
				return err
			}
			if len(roots) == 0 {
				return exitf(ExitNotFound, "there is no image %s with a version; `stampmill image list` shows all", oneLine(args[0]))
			}
			return c.print(roots, func(w io.Writer) {
				for _, root := range roots {
					root.write(w, "", "")
				}
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "show retired and abandoned versions too")
	return cmd
}

// lineage is the trees that hold the image: each from a base AMI down.
func lineage(ctx context.Context, a *app.App, name string, number int, all bool) ([]*node, error) {
	images, err := a.Ledger.ListImages(ctx)
	if _, err := jobs.Unread(err); err != nil {
		return nil, err
	}
	nodes, parents := map[string]*node{}, map[string]string{}
	var order []string
	for _, image := range images {
		versions, err := a.Ledger.Versions(ctx, image.Name)
		if _, err := jobs.Unread(err); err != nil {
			return nil, err
		}
		for _, v := range versions {
			nodes[v.Ref()] = &node{Name: v.Ref(), Kind: "image", State: v.Standing(image.Current)}
			parents[v.Ref()] = cmp.Or(v.Parent, v.SourceAMI)
			order = append(order, v.Ref())
			running, err := usesOf(ctx, a, v)
			if err != nil {
				return nil, err
			}
			for _, use := range running {
				nodes[v.Ref()].Children = append(nodes[v.Ref()].Children, &node{Name: use.Fleet, Kind: "fleet", Servers: use.Servers, Group: use.Group, Unknown: use.Unknown})
			}
		}
	}
	kept := related(order, parents, name, number)
	var roots []*node
	for _, ref := range order {
		if !kept[ref] {
			continue
		}
		at, parent := nodes[ref], parents[ref]
		above := nodes[parent]
		if above == nil {
			if parent == "" {
				roots = append(roots, at)
				continue
			}
			above = &node{Name: parent, Kind: "ami"}
			nodes[parent], roots = above, append(roots, above)
		}
		above.Children = append(above.Children, at)
	}
	if !all {
		roots = slices.DeleteFunc(roots, (*node).prune)
	}
	return roots, nil
}

// related are the versions in the image's line of ancestors and descendants.
func related(order []string, parents map[string]string, name string, number int) map[string]bool {
	kept := map[string]bool{}
	asked := func(ref string) bool {
		return ledger.ImageOf(ref) == name && (number == 0 || ref == fmt.Sprintf("%s@%d", name, number))
	}
	for _, ref := range order {
		for at, steps := ref, 0; at != "" && steps <= len(order); at, steps = parents[at], steps+1 {
			if asked(at) { // ref is it, or comes from it
				for up, steps := ref, 0; up != "" && steps <= len(order); up, steps = parents[up], steps+1 {
					kept[up] = true
				}
				break
			}
		}
	}
	return kept
}

// prune leaves out what cannot be launched any more and has nothing below; it says whether the node itself is to go.
func (n *node) prune() bool {
	n.Children = slices.DeleteFunc(n.Children, (*node).prune)
	switch n.State {
	case string(ledger.Retired), string(ledger.Abandoned):
		return len(n.Children) == 0
	}
	return n.Kind == "ami" && len(n.Children) == 0
}

func (n *node) write(w io.Writer, first, rest string) {
	var about []string
	if n.Kind == "fleet" {
		about = append(about, "fleet")
		if n.Group != "" {
			about = append(about, "Auto Scaling group "+n.Group)
		}
		if n.Unknown == "" {
			about = append(about, count(n.Servers, "server"))
		} else {
			about = append(about, "servers unknown: "+oneLine(n.Unknown))
		}
	}
	if n.State != "" {
		about = append(about, n.State)
	}
	line := first + n.Name
	if len(about) > 0 {
		line += "  (" + strings.Join(about, ", ") + ")"
	}
	fmt.Fprintln(w, line)
	for i, child := range n.Children {
		if i == len(n.Children)-1 {
			child.write(w, rest+"└─ ", rest+"   ")
		} else {
			child.write(w, rest+"├─ ", rest+"│  ")
		}
	}
}
