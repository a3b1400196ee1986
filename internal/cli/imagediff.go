package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs/content"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// sortedKeys are a map's keys in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// imageDiffView is what differs between two versions.
type imageDiffView struct {
	A string `json:"a"`
	B string `json:"b"`
	// Packages are nil where a version's packages are not known; Note says of which.
	Packages *content.Difference `json:"packages"`
	Note     string              `json:"note,omitempty"`
	// Parent is there where they were baked from different ones.
	Parent *content.Change `json:"parent,omitempty"`
	// Spec are the fields of the Bake that differ, by their paths; scripts and files by their checksums.
	Spec []content.Change `json:"spec"`
}

func (c *command) imageDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff NAME@A [NAME@]B", Short: "Show what differs between two versions: packages, spec, scripts", Args: cobra.ExactArgs(2),
		Long: `Compares what two versions hold: packages that came, went or changed, as the builder's package manager named them, and what
changed in the Bake that made them, with scripts and files by their checksums.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			one, err := c.versionOf(cmd.Context(), a, args[0], "")
			if err != nil {
				return err
			}
			other, err := c.versionOf(cmd.Context(), a, args[1], one.Image)
			if err != nil {
				return err
			}
			view := imageDiffView{A: one.Ref(), B: other.Ref()}
			if err := view.comparePackages(cmd.Context(), a, one, other); err != nil {
				return err
			}
			if one.Parent != other.Parent {
				view.Parent = &content.Change{Name: "parent", Before: one.Parent, After: other.Parent}
			}
			if view.Spec, err = content.CompareSpecs(one.Spec, other.Spec); err != nil {
				return err
			}
			return c.print(view, func(w io.Writer) { view.table(w) })
		},
	}
}

// versionOf loads web@41; a bare number is of the image that is given.
func (c *command) versionOf(ctx context.Context, a *app.App, ref, image string) (ledger.Version, error) {
	if image != "" && isNumber(ref) {
		ref = image + "@" + ref
	}
	name, number, err := pinned(ref)
	if err != nil {
		return ledger.Version{}, err
	}
	v, found, err := a.Ledger.GetVersion(ctx, name, number)
	if err == nil && !found {
		err = exitf(ExitNotFound, "there is no %s; `stampmill image show %s` shows its versions", oneLine(ref), oneLine(name))
	}
	return v, err
}

func isNumber(text string) bool {
	for _, r := range text {
		if r < '0' || r > '9' {
			return false
		}
	}
	return text != ""
}

func (v *imageDiffView) comparePackages(ctx context.Context, a *app.App, one, other ledger.Version) error {
	var lists []content.Document
	for _, version := range []ledger.Version{one, other} {
		if version.Content == nil {
			v.Note = fmt.Sprintf("the packages of %s are not known: its builder had no package manager, or was not asked", version.Ref())
			return nil
		}
		raw, found, err := a.Files.Get(ctx, version.Content.Key)
		if err != nil {
			return err
		}
		if !found {
			v.Note = fmt.Sprintf("the packages of %s are not in the bucket any more (%s)", version.Ref(), version.Content.Key)
			return nil
		}
		var d content.Document
		if err := json.Unmarshal(raw, &d); err != nil {
			return exitf(ExitFailure, "%s: %s cannot be read: %w", version.Ref(), version.Content.Key, err)
		}
		lists = append(lists, d)
	}
	difference := content.Compare(lists[0].Packages, lists[1].Packages)
	v.Packages = &difference
	return nil
}

func (v *imageDiffView) table(w io.Writer) {
	row(w, "CHANGE", "WHAT", v.A, v.B)
	if v.Parent != nil {
		row(w, "parent", "", v.Parent.Before, v.Parent.After)
	}
	for _, change := range v.Spec {
		row(w, "spec", change.Name, change.Before, change.After)
	}
	if v.Packages == nil {
		row(w, "packages", v.Note)
		return
	}
	for _, p := range v.Packages.Added {
		row(w, "added", p.Name, "", p.Version)
	}
	for _, p := range v.Packages.Removed {
		row(w, "removed", p.Name, p.Version, "")
	}
	for _, p := range v.Packages.Changed {
		row(w, "changed", p.Name, p.Before, p.After)
	}
	if v.Parent == nil && len(v.Spec)+len(v.Packages.Added)+len(v.Packages.Removed)+len(v.Packages.Changed) == 0 {
		row(w, "nothing", "they hold the same")
	}
}
