package main

// familyMutants change how parents and children find each other.
func familyMutants() []mutant {
	return []mutant{
		{
			name:   "children-computed-anew",
			breaks: "2: after a crash the list of children is made again, and children are made twice",
			edits: []edit{{familyFile, `	if !job.Fan.Sent {
		move, err := s.sendChildren(ctx, list)
		return move, true, err
	}`, `	if !job.Fan.Sent {
		job.Fan = nil
		return Move{}, false, nil
	}`}},
			tests: in(jobsTests, anyDeath),
		},
		{
			name:   "children-sent-before-saved",
			breaks: "2: children are sent before their list is saved",
			edits: []edit{{familyFile, `	cancel, err := s.engine.Store.Save(ctx, job, Saving{Seq: job.Seq, Fan: list})`, `	if _, err := s.sendChildren(ctx, list); err != nil {
		return Move{}, err
	}
	job.Fan.Sent = false
	cancel, err := s.engine.Store.Save(ctx, job, Saving{Seq: job.Seq, Fan: list})`}},
			tests: in(jobsTests, "TestNoChildIsSentBeforeTheListOfAllIsSaved"),
		},
		{
			name:   "child-key-without-run",
			breaks: "4: the children of a retry are taken for those of the run before",
			edits:  []edit{{familyFile, `"%s-r%d-f%d-%d", incarnation, run, fan, index)`, `"%s-r%d-f%d-%d", incarnation, run/1000, fan, index)`}},
			tests:  in(jobsTests, "TestARetryHasChildrenOfItsOwn"),
		},
		{
			name:   "last-child-silent",
			breaks: "1: the last child's end does not wake its parent",
			edits:  []edit{{stintFile, `	if err != nil || ended < parent.Of {`, `	if err != nil || ended <= parent.Of {`}},
			tests:  in(jobsTests, "TestALastChildsEndWakesItsParentWhateverDies"),
		},
		{
			name:   "child-counted-twice",
			breaks: "2: a child that ends again counts as two, and the parent goes on too early",
			edits: []edit{
				{saveFile, `"ADD #ended :index SET t = :t, #exp = :exp"`, `"ADD #ended :index, total :one SET t = :t, #exp = :exp"`},
				{saveFile, `			ExpressionAttributeValues: item{":index": &types`, `			ExpressionAttributeValues: item{":one": number(1), ":index": &types`},
				{saveFile, `		return len(set.Value), nil`, `		return max(len(set.Value), int(integer(out.Item, "total"))), nil`},
			},
			tests: in(rigTests, "TestAChildThatEndsAgainCountsOnce"),
		},
		{
			name:   "unborn-child-not-buried",
			breaks: "3: a child whose submission is still under way is made after its parent was cancelled",
			edits: []edit{{familyFile, `			if _, _, err := t.engine.Store.Bury(`, `			if _, _, err := (nobody{}).Bury(`}, {familyFile, `func openChildren(`, `type nobody struct{}

func (nobody) Bury(context.Context, string, int, time.Time) (*Row, bool, error) { return nil, true, nil }

func openChildren(`}},
			tests: in(jobsTests, "TestACancelledParentsUnbornChildIsNeverMade"),
		},
	}
}
