package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"
)

// answer is what a server says of itself.
type answer struct {
	instance, hostname, page string
	settings                 map[string]any
}

// question is run on each server. The page shows that the bootstrap has run and that the baked web server answers.
const question = `hostname; curl -s http://127.0.0.1/name.txt; cat /run/stampmill/settings.json`

// perCall is how many instance ids SendCommand takes.
const perCall = 50

// ask runs the question on all servers by SSM, and gives their answers.
func (s *show) ask(ctx context.Context, ids []string) ([]answer, error) {
	chunks := slices.Collect(slices.Chunk(ids, perCall))
	told := make([][]answer, len(chunks))
	asking, ctx := errgroup.WithContext(ctx)
	for n, chunk := range chunks {
		asking.Go(func() (err error) {
			told[n], err = s.askSome(ctx, chunk)
			return err
		})
	}
	err := asking.Wait()
	return slices.Concat(told...), err
}

func (s *show) askSome(ctx context.Context, ids []string) ([]answer, error) {
	sent, err := s.aws.SSM.SendCommand(ctx, &ssm.SendCommandInput{DocumentName: aws.String("AWS-RunShellScript"), InstanceIds: ids,
		Parameters: map[string][]string{"commands": {question}}})
	if err != nil {
		return nil, fmt.Errorf("ask %d servers: %w", len(ids), err)
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		ended, all, err := s.invocations(ctx, *sent.Command.CommandId)
		if err != nil {
			return nil, err
		}
		if ended == len(ids) {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d servers answered: %w", ended, len(ids), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// invocations gives how many servers have ended the command, and what they said.
func (s *show) invocations(ctx context.Context, command string) (ended int, all []answer, err error) {
	pages := ssm.NewListCommandInvocationsPaginator(s.aws.SSM, &ssm.ListCommandInvocationsInput{CommandId: &command, Details: true})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, nil, fmt.Errorf("read the servers' answers: %w", err)
		}
		for _, i := range page.CommandInvocations {
			switch i.Status {
			case types.CommandInvocationStatusPending, types.CommandInvocationStatusInProgress, types.CommandInvocationStatusDelayed:
				continue
			}
			ended++
			all = append(all, read(i))
		}
	}
	return ended, all, nil
}

// read takes an answer apart. What a server did not say stays empty, and fails its check.
func read(i types.CommandInvocation) answer {
	a := answer{instance: aws.ToString(i.InstanceId)}
	var output strings.Builder
	for _, plugin := range i.CommandPlugins {
		output.WriteString(aws.ToString(plugin.Output))
	}
	lines := strings.SplitN(output.String(), "\n", 3)
	if len(lines) == 3 {
		a.hostname, a.page = lines[0], lines[1]
		if json.Unmarshal([]byte(lines[2]), &a.settings) != nil {
			a.settings = nil
		}
	}
	return a
}

// ordinals are the ledger's, by instance.
func (e *estate) ordinals() map[string]int {
	all := map[string]int{}
	for _, server := range e.ledger {
		all[server.InstanceID] = server.Ordinal
	}
	return all
}

// each compares every server's answer with its ordinal; all words must differ.
func (e *estate) each(word func(a answer) string, want func(ordinal int) string) string {
	ordinals, seen := e.ordinals(), map[string]string{}
	for _, a := range e.told {
		got := word(a)
		if other, twice := seen[got]; twice {
			return fmt.Sprintf("%s and %s both say %q", other, a.instance, got)
		}
		seen[got] = a.instance
		ordinal, known := ordinals[a.instance]
		if !known {
			return a.instance + " answers and is not in the ledger"
		}
		if got != want(ordinal) {
			return fmt.Sprintf("%s (ordinal %d) says %q, want %q", a.instance, ordinal, got, want(ordinal))
		}
	}
	return unequal("answers", len(seen), servers)
}

func name(ordinal int) string { return fmt.Sprintf("web-%04d", ordinal) }

func (e *estate) names() string {
	return e.each(func(a answer) string { return a.hostname }, name)
}

func (e *estate) pages() string {
	return e.each(func(a answer) string { return a.page }, name)
}

// settings: what the spec says of all, and the ordinal's row of the CSV.
func (e *estate) settings(rows map[string]map[string]string) string {
	return e.each(func(a answer) string { return inOrder(a.settings) }, func(ordinal int) string {
		want := map[string]any{"cluster": "blue"}
		for column, value := range rows[fmt.Sprint(ordinal)] {
			want[column] = value
		}
		return inOrder(want)
	})
}

// inOrder writes settings as text, in the order of their names; numbers and their texts are the same.
func inOrder(settings map[string]any) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, fmt.Sprintf("%s=%v", key, settings[key]))
	}
	return strings.Join(parts, " ")
}

// settings reads servers.csv: a row an ordinal.
func settings(source string) (rows map[string]map[string]string, err error) {
	file, err := os.Open(filepath.Join(source, "examples", "demo", "servers.csv"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	table, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	rows = map[string]map[string]string{}
	for _, line := range table[1:] {
		row := map[string]string{}
		for i, column := range table[0] {
			row[column] = line[i]
		}
		rows[line[0]] = row
	}
	return rows, nil
}
