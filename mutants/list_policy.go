package main

const (
	policyTests  = "internal/jobs/policy"
	policyFile   = "internal/jobs/policy/policy.go"
	policyFill   = "internal/jobs/policy/fill.go"
	policyLedger = "internal/aws/ledger/policies.go"
)

// policyMutants change what begins work by itself.
func policyMutants() []mutant {
	return []mutant{
		{
			name:   "tick-run-twice",
			breaks: "two workers that look at a policy at once both act on what they read",
			edits:  []edit{{policyLedger, `		revision = unchanged(before)`, `		revision = condition{}`}},
			tests:  in(ledgerTests, "TestOfTwoWhoReadAPolicyOneWritesIt"),
		},
		{
			name:   "tick-lost-between-write-and-send",
			breaks: "1: a submission that was stored and not sent is forgotten",
			edits:  []edit{{"internal/jobs/policy/evaluator.go", `		if h.Pending == 0 && (h.Paused`, `		if (h.Paused`}},
			tests:  in(policyTests, "TestADeathBeforeOrAfterAnyCallNeitherLosesATickNorDoublesIt"),
		},
		{
			name:   "missed-tick-lost",
			breaks: "a schedule that came while no worker ran is passed over",
			edits:  []edit{{policyFile, `schedule.Latest(p.Ticked, now.In(zone))`, `schedule.Latest(now.Add(-time.Minute), now.In(zone))`}},
			tests:  in(policyTests, "TestAMissedTickRunsOnceNotOnceForEachTimeMissed"),
		},
		{
			name:   "each-missed-tick-runs",
			breaks: "after a day without workers an hourly schedule runs once for each hour",
			edits:  []edit{{policyFile, `if at, due := schedule.Latest(p.Ticked, now.In(zone)); due {`, `if at, due := schedule.Next(p.Ticked.In(zone)); due && !at.After(now) {`}},
			tests:  in(policyTests, "TestAMissedTickRunsOnceNotOnceForEachTimeMissed"),
		},
		{
			name:   "skipped-hour-lost",
			breaks: "a time that the clock leaps over when summer time begins never comes",
			edits:  []edit{{"internal/jobs/policy/cron/cron.go", `		return []time.Time{begin.In(zone)}`, `		return nil`}},
			tests:  in(policyTests, "TestATimeThatTheClockLeapsOverOrShowsTwiceRunsOnce"),
		},
		{
			name:   "doubled-hour-runs-twice",
			breaks: "a time that the clock shows twice when summer time ends comes twice",
			edits:  []edit{{"internal/jobs/policy/cron/cron.go", `	case !s.starHour:`, `	case s.starHour:`}},
			tests:  in(policyTests, "TestATimeThatTheClockLeapsOverOrShowsTwiceRunsOnce"),
		},
		{
			name:   "heal-of-a-whole-fleet",
			breaks: "a fleet that lacks nothing is launched anew at each look",
			edits:  []edit{{policyFill, `		case w.missing == 0:`, `		case w.missing < 0:`}},
			tests:  in(policyTests, "TestAHealOfWholeFleetsSubmitsNothingAndCostsOneLookAFleet"),
		},
		{
			name:   "heal-believes-a-late-describe",
			breaks: "2: a server that EC2 does not show yet is taken for one that is gone",
			edits:  []edit{{policyFill, `now.Sub(s.Launched) < jobs.PropagationLimit`, `now.Sub(s.Launched) < 0`}},
			tests:  in(policyTests, "TestAHealLaunchesWhatIsMissingOnTheFleetsOwnImage"),
		},
		{
			name:   "heal-undoes-a-shrink",
			breaks: "2: a heal that was decided before a fleet was shrunk fills it up again",
			edits:  []edit{{"internal/jobs/launch/plan.go", `fleet.Count != l.spec.Count || `, ``}},
			tests:  in(launchTests, "TestAHealLeavesAFleetAloneThatWasChangedMeanwhile"),
		},
		{
			name:   "heal-of-a-fleet-under-a-rollout",
			breaks: "2: a fleet that somebody works on is healed beside that",
			edits:  []edit{{policyFill, `	case f.Owner != "" || len(f.Line) > 0:`, `	case false:`}},
			tests:  in(policyTests, "TestAHealLaunchesWhatIsMissingOnTheFleetsOwnImage"),
		},
	}
}
