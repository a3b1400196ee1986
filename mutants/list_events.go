package main

// eventMutants change what events of EC2 and SSM do to jobs.
func eventMutants() []mutant {
	const (
		siftFile, awaitFile = "internal/jobs/sift.go", "internal/jobs/await.go"
		companyFile         = "internal/jobs/company.go"
		forwardFile         = "internal/aws/setup/forward.go"
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
			name:   "urgent-event-in-line",
			breaks: "the event of an urgent job stands behind whatever waits for a slot",
			edits:  []edit{{siftFile, `case h.waiter.Urgent:`, `case false && h.waiter.Urgent:`}},
			tests:  in(jobsTests, "TestTheEventOfAnUrgentJob"),
		},
		{
			name:   "events-each-by-itself",
			breaks: "events that come within a moment cost a look each",
			edits:  []edit{{companyFile, `	if c == nil {`, `	if c == nil || true {`}},
			tests:  in(jobsTests, "TestEventsThatComeWithinAMomentWakeTheirJobsAtOneInstant"),
		},
		{
			name:   "event-waits-as-long-as-it-likes",
			breaks: "a job's events wait for others until its look finds what they tell",
			edits:  []edit{{companyFile, `min(h.waiter.Company, mostCompany)`, `h.waiter.Company`}, {awaitFile, `min(move.company, mostCompany, `, `max(move.company, `}},
			tests:  in(jobsTests, "TestNoEventWaitsLongerForOthersThanItsMessageIsHidden"),
		},
		{
			name:   "events-kept-by-the-drained",
			breaks: "a worker that drains keeps the events that wait for others",
			edits: []edit{{workerFile, `	back = append(back, w.dismissLocked()...)
`, ``}},
			tests: in(jobsTests, "TestEventsThatWaitForOthersAreHandedBackByAWorkerThatDrains"),
		},
		{
			name:   "flood-kept",
			breaks: "awaited events pile up in the worker without bound",
			edits:  []edit{{companyFile, `len(c.kept) >= fullCompany`, `len(c.kept) < 0`}},
			tests:  in(jobsTests, "TestAFloodOfAwaitedEventsDoesNotWaitInTheWorker"),
		},
		{
			name:   "trusted-by-other-regions",
			breaks: "events of one region make polls rare in another that has no rules",
			edits:  []edit{{"internal/jobs/trust.go", `strings.HasPrefix(other, place)`, `strings.HasPrefix(other, place[:0])`}},
			tests:  in(jobsTests, "TestASortOfEventsIsTrustedAsTheOthersOfItsRegionUntilItIsKnown"),
		},
		{
			name:   "forwarding-takes-all-back",
			breaks: "7: taking forwarding back removes the rules by which another installation hears of its events",
			edits: []edit{{forwardFile, `			others++
			continue
`, `			continue
`}},
			tests: in(rigTests, "TestTakingForwardingBackLeavesWhatOthersForwardByTheSameRules"),
		},
		{
			name:   "forwarder-without-right",
			breaks: "the role that forwards may not put events on the installation's bus",
			edits:  []edit{{forwardFile, `"Resource": home.arn`, `"Resource": home.arn + "s"`}},
			tests:  in(rigTests, "TestABakeHearsOfItsCopyInAnotherRegionWhereEventsAreForwarded"),
		},
		{
			name:   "new-role-not-waited-for",
			breaks: "setup fails since EventBridge does not know the role that it just made",
			edits:  []edit{{forwardFile, `const roleTries = 15`, `const roleTries = 1`}},
			tests:  in(rigTests, "TestForwardingWaitsForARoleThatEventBridgeDoesNotKnowYet"),
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
			edits:  []edit{{saveFile, `len(job.Awaits) > 0 {`, `len(job.Awaits) > 1<<20 {`}},
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
