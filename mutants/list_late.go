package main

// lateMutants let requests that arrive late, after those that were sent in their stead, undo what came after them.
func lateMutants() []mutant {
	return []mutant{
		{
			name:   "late-save-puts-back",
			breaks: "2: a save that arrives after the delivery's next ones puts an attempt back that was over, and its ordinals get servers twice",
			edits: []edit{{saveFile, `		c.equal("saves", number(job.Saves))`, `		c.where(term{">=", "saves", number(job.Saves)})`},
				{saveFile, `		if integer(old, "saves") != job.Saves || `, `		if `}},
			tests: in(rigTests, "TestASaveThatComesLatePutsNothingBack"),
		},
		{
			name:   "late-heartbeat-shortens",
			breaks: "6: a heartbeat that arrives late lets another worker claim the job while this one works",
			edits:  []edit{{storeFile, `"fence = :fence AND lease <= :until"`, `"fence = :fence AND attribute_exists(lease)"`}},
			tests:  in(rigTests, "TestAHeartbeatThatComesLateShortensNoLease"),
		},
	}
}
