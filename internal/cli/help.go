package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
)

// examples are what the help of each command shows.
var examples = map[string]string{
	"submit": `  stampmill submit examples/web/bake.yaml --wait
  stampmill submit web/*.yaml --key "$CI_COMMIT" --var site=Edge     # a pipeline that runs twice bakes once
  id=$(stampmill submit web/bake.yaml) && stampmill wait "$id"`,
	"validate": `  stampmill validate examples/*/*.yaml
  stampmill validate fleet.yaml --vars production.yaml`,
	"plan": `  stampmill plan examples/web/bake.yaml examples/web/launch.yaml
  stampmill plan fleet.yaml -o json | jq -r '.[].details.planned'`,
	"schema": `  stampmill schema > stampmill.schema.json       # for editors: # yaml-language-server: $schema=…
  stampmill schema message                       # what any language may put on the queues`,
	"logs": `  stampmill logs bake-web-k3vq2nq6m7w4xjra
  stampmill logs bake-web --follow          # a beginning of the id is enough`,
	"wait": `  stampmill wait bake-web-k3vq2nq6m7w4xjra --timeout 1h
  stampmill wait bake-web -o json | jq -r '.[].result.amis'`,
	"cancel": `  stampmill cancel bake-web-k3vq2nq6m7w4xjra`,
	"retry":  `  stampmill retry bake-web-k3vq2nq6m7w4xjra --wait`,
	"dead list": `  stampmill dead list --reason "another spec" --newer 24h
  stampmill dead list --kind Bake -o json | jq -r '.[].job'`,
	"dead show": `  stampmill dead show 5fea7756              # a beginning of the id is enough`,
	"dead redrive": `  stampmill dead redrive 5fea7756
  stampmill dead redrive --reason "expected one of" --older 1h`,
	"dead drop": `  stampmill dead drop --reason "another spec"`,
	"orphans": `  stampmill orphans --dry-run
  stampmill orphans --yes`,
	"budget list": `  stampmill budget list
  stampmill budget list -o json | jq -r '.[] | select(.throttles > 0) | .action'`,
	"doctor": `  stampmill doctor
  stampmill doctor --worker -o json | jq -r '.[] | select(.level == "problem") | .text'`,
	"setup": `  stampmill setup && stampmill ping`,
	"ping": `  stampmill ping
  stampmill ping --count 10 -o json`,
	"version": `  stampmill version -o json`,
	"job list": `  stampmill job list --state open
  stampmill job list --kind Bake --label team=edge --since 24h -o json`,
	"job show": `  stampmill job show bake-web               # a beginning of the id is enough
  stampmill job show bake-web --spec -o yaml`,
	"image list": `  stampmill image list -o json | jq -r '.[].name'`,
	"image show": `  stampmill image show web
  aws ec2 run-instances --image-id "$(stampmill image show web --ami --region eu-west-1)" …`,
	"fleet list":    `  stampmill fleet list`,
	"fleet show":    `  stampmill fleet show web-prod`,
	"fleet servers": `  stampmill fleet servers web-prod --ids | xargs aws ec2 describe-instances --instance-ids`,
}

// equip gives commands their examples, and completes the names that they take.
func (c *command) equip(root *cobra.Command) {
	names := map[string]func(context.Context, *app.App) ([]string, error){
		"job show": jobNames, "logs": jobNames, "wait": jobNames, "cancel": jobNames, "retry": jobNames,
		"image show": imageNames, "fleet show": fleetNames, "fleet servers": fleetNames,
	}
	for _, group := range root.Commands() {
		for _, cmd := range append(group.Commands(), group) {
			path := cmd.CommandPath()[len(root.Name())+1:]
			cmd.Example = examples[path]
			if list := names[path]; list != nil {
				cmd.ValidArgsFunction = c.completing(list)
			}
		}
	}
}

// completing offers names from the installation. Where it cannot be asked there are none: a shell wants no errors.
func (c *command) completing(list func(context.Context, *app.App) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		if err := config.Load(&c.config, nil); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		a, err := c.open(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		found, err := list(cmd.Context(), a)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func jobNames(ctx context.Context, a *app.App) ([]string, error) {
	list, err := a.Store.List(ctx, store.Filter{Limit: 100})
	var names []string
	for _, job := range list {
		names = append(names, job.ID)
	}
	_, err = jobs.Unread(err)
	return names, err
}

func imageNames(ctx context.Context, a *app.App) ([]string, error) {
	list, err := a.Ledger.ListImages(ctx)
	var names []string
	for _, image := range list {
		names = append(names, image.Name)
	}
	return names, err
}

func fleetNames(ctx context.Context, a *app.App) ([]string, error) {
	list, err := a.Ledger.ListFleets(ctx)
	var names []string
	for _, fleet := range list {
		names = append(names, fleet.Name)
	}
	return names, err
}
