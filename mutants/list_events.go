package main

// eventMutants change what events of EC2 and SSM do to jobs.
func eventMutants() []mutant {
	const (
		siftFile, awaitFile = "internal/jobs/sift.go", "internal/jobs/await.go"
		claims              = "TestAnEventClaimsOnlyTheFreeJobThatAwaitsIt"
	)
	return []mutant{
		{
			name:   "event-of-another-incarnation",
			breaks: "6: what a job awaited that has expired wakes the one that came after it under its key",
			edits:  []edit{{siftFile, `Incarnation: waiter.Incarnation, `, ``}},
			tests:  in(jobsTests, claims),
		},
		{
			name:   "event-of-another-run",
			breaks: "what a run awaited wakes another one",
			edits: []edit{
				{decideFile, `m.Run != job.Run || !slices.Contains(job.Awaits, m.awaited)`, `!slices.Contains(job.Awaits, m.awaited)`},
				{engineFile, `a.message.Type == Wake || a.message.awaited != ""`, `a.message.Type == Wake`},
			},
			tests: in(jobsTests, claims),
		},
		{
			name:   "event-wakes-who-went-on",
			breaks: "each late event of a thing claims its job once more, whatever the job awaits by now",
			edits: []edit{
				{decideFile, `m.Run != job.Run || !slices.Contains(job.Awaits, m.awaited)`, `m.Run != job.Run || slices.Contains([]string(nil), m.awaited)`},
				{engineFile, `	claim.Await = a.message.awaited
`, ``},
			},
			tests: in(jobsTests, claims),
		},
		{
			name:   "event-deleted-before-the-save",
			breaks: "an event that comes between a job's awaiting and its save is lost",
			edits: []edit{{decideFile, `	if job.Leased(now) {
		return VerdictHide
	}
	if m.awaited`, `	if job.Leased(now) && m.awaited == "" {
		return VerdictHide
	}
	if m.awaited`}},
			tests: in(jobsTests, claims),
		},
		{
			name:   "strange-event-dead-lettered",
			breaks: "every server that somebody else ends makes a dead letter",
			edits: []edit{{siftFile, `		case !found:
			outcomes[i] = deleted()`, `		case !found:
			outcomes[i] = refused("nobody awaits it")`}},
			tests: in(jobsTests, "TestEventsOfStrangersCostOneLookUpTogetherAndChangeNothing"),
		},
		{
			name:   "event-dropped-unseen",
			breaks: "an event that nobody could be asked about is deleted",
			edits:  []edit{{siftFile, `outcomes[i] = hidden(events[i].patience())`, `outcomes[i] = deleted()`}},
			tests:  in(jobsTests, "TestEventsAreKeptWhileNobodyCanBeAskedWhoAwaitsThem"),
		},
		{
			name:   "no-poll-behind-an-event",
			breaks: "1: a job that awaits an event has no message of its own, and a lost event loses it",
			edits:  []edit{{stintFile, `	if !due {`, `	if !due && len(job.Awaits) == 0 {`}},
			tests:  in(jobsTests, "TestAnEventThatGetsLostDelaysItsJobUntilTheNextLookOnly"),
		},
		{
			name:   "awaited-in-the-own-region-only",
			breaks: "a copy's event in another region wakes nobody, and one of the own region anybody",
			edits:  []edit{{awaitFile, `cmp.Or(thing.Region, target.Region, e.Region)`, `cmp.Or(target.Region, e.Region)`}},
			tests:  in(jobsTests, "TestThingsAreAwaitedWhereTheyAre"),
		},
		{
			name:   "awaits-not-saved",
			breaks: "an event finds who awaits it, and cannot claim the job",
			edits:  []edit{{saveFile, `len(job.Awaits) > 0)`, `false)`}},
			tests:  in(rigTests, "TestABakeGoesOnWithinTwoSecondsOfItsAMI"),
		},
		{
			name:   "stale-claim-awaits",
			breaks: "6: a worker whose claim has passed on changes who awaits a thing",
			edits:  []edit{{"internal/aws/store/awaits.go", `OR fence <= :fence"`, `OR fence <= :fence OR fence > :fence"`}},
			tests:  in(rigTests, "TestAClaimThatHasPassedOnAwaitsNothing"),
		},
	}
}
