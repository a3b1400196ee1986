package main

// passOnMutants change how a parent's orders reach its children.
func passOnMutants() []mutant {
	return []mutant{
		{
			name:   "pause-kept-by-the-parent",
			breaks: "4: a restamp that is paused goes on rolling the fleets that it has under way",
			edits:  []edit{{"internal/jobs/restamp/restamp.go", `(verb == jobs.Pause || verb == jobs.Resume)`, `verb == jobs.Resume`}},
			tests:  in("internal/rig", "TestAPauseOfARestampReachesItsRolloutsAtEveryDeath"),
		},
		{
			name:   "child-not-there-yet-not-told",
			breaks: "4: a rollout whose submission is under way when its restamp is paused rolls on",
			edits:  []edit{{"internal/jobs/passon.go", `			missing++`, `			_ = missing`}},
			tests:  in("internal/jobs", "TestAnOrderReachesAChildWhoseSubmissionIsUnderWay"),
		},
	}
}
