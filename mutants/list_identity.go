package main

// identityMutants change what makes a call safe to repeat: tokens, names and tags.
func identityMutants() []mutant {
	return []mutant{
		{
			name:   "token-without-attempt",
			breaks: "2: another pool is asked under the token of the one before",
			edits: []edit{{turnFile, `t.Job.Run, thing, t.Attempt(thing))
	if`, `t.Job.Run, thing, 1)
	if`}},
			tests: in(bakeTests, "TestACapacityErrorMovesToTheNextPoolAndTheTokenChanges"),
		},
		{
			name:   "token-without-incarnation",
			breaks: "4: a key that comes back after its job's expiry is answered with last month's servers",
			edits:  []edit{{turnFile, `"%s-r%d-%s-a%d", t.Job.Incarnation, t.Job.Run`, `"%s-r%d-%s-a%d", t.Job.ID[len(t.Job.ID)-16:], t.Job.Run`}},
			tests:  in(rigTests, "TestAnOldKeyAfterItsJobsExpiryBakesANewAMI"),
		},
		{
			name:   "token-without-run",
			breaks: "4: a retry is answered with what the failed run made",
			edits:  []edit{{turnFile, `"%s-r%d-%s-a%d", t.Job.Incarnation, t.Job.Run`, `"%s-r%d-%s-a%d", t.Job.Incarnation, 1`}},
			tests:  in(jobsTests, "TestARetryIsTheNextRunWithOtherTokens"),
		},
		{
			name:   "random-token-on-retry",
			breaks: "2: a call that is repeated after a crash has a new token, and makes another thing",
			edits:  []edit{{makeFile, `m.Act(ctx, turn.Token(m.Thing))`, `m.Act(ctx, NewIncarnation())`}},
			tests:  in(jobsTests, anyDeath),
		},
		{
			name:   "attempt-saved-late",
			breaks: "2: a new attempt's call is sent before its number is saved",
			edits: []edit{{turnFile, `	t.Job.Attempts[thing] = t.Attempt(thing) + 1
	return t.Save(ctx)`, `	t.Job.Attempts[thing] = t.Attempt(thing) + 1
	return ctx.Err()`}},
			tests: in(bakeTests, "TestEachFurtherAttemptIsSavedBeforeItsCall"),
		},
		{
			name:   "image-adopted-by-name",
			breaks: "7: somebody else's AMI of the same name is taken for ours",
			edits:  []edit{{"internal/jobs/bake/capture.go", `if copies.Ours(turn, i.Tags) && i.State != "deregistered" {`, `if i.State != "deregistered" {`}},
			tests:  in(bakeTests, "TestAnImageOfOurNameThatIsNotOursIsLeftAlone"),
		},
		{
			name:   "server-adopted-by-token",
			breaks: "7: a server that does not carry our tags is adopted",
			edits:  []edit{{"internal/jobs/bake/launch.go", `if copies.Ours(turn, i.Tags) && i.State != "terminated" {`, `if i.State != "terminated" {`}},
			tests:  in(bakeTests, "TestAServerUnderOurTokenThatIsNotOursIsLeftAlone"),
		},
		{
			name:   "users-tags-win",
			breaks: "7: a user's tag overrides ours",
			edits: []edit{{bakeSteps, `	maps.Copy(tags, turn.Tags(thing))
	return tags`, `	for key, value := range turn.Tags(thing) {
		if tags[key] == "" {
			tags[key] = value
		}
	}
	return tags`}},
			tests: in(bakeTests, "TestOurTagsStandOverAUsers"),
		},
		{
			name:   "made-not-compared",
			breaks: "2: what came back is not compared with what was asked",
			edits:  []edit{{makeFile, `	if m.Check != nil {`, `	if m.Check != nil && how == "" {`}},
			tests:  in(bakeTests, "TestAServerOfAnotherImageThanAskedFailsTheBake"),
		},
		{
			name:   "name-without-incarnation",
			breaks: "4: a new job's AMI has the name of the last one's",
			edits:  []edit{{"internal/jobs/bake/capture.go", `	name += "-" + b.job.Incarnation + "-r"`, `	name += "-r"`}},
			tests:  in(bakeTests, "TestAnAMIsNameIsTheSameForEachRepetitionAndAnotherForEachAttempt"),
		},
	}
}
