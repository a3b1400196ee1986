package main

// workerMutants change what a worker does with messages, leases and lanes.
func workerMutants() []mutant {
	return []mutant{
		{
			name:   "idle-worker-holds-back",
			breaks: "1: a worker with nothing to do leaves a queue unasked while it waits for another one",
			edits: []edit{{"internal/jobs/worker.go", `	return w.free == w.Slots
`, `	return w.free > w.Slots
`}},
			tests: in("./internal/jobs", "TestAnIdleWorkerHoldsNoLaneBack"),
		},
		{
			name:   "new-work-before-wakes",
			breaks: "2: new work is received though more wakes stand in their queue than the worker takes",
			edits:  []edit{{workerFile, `	w.behind[lane] = full`, `	w.behind[lane] = false`}},
			tests:  in(jobsTests, "TestNewWorkHoldsBackWhileMoreWakesStandInTheirQueueThanAWorkerTakes"),
		},
		{
			name:   "delete-before-save",
			breaks: "1: a message is deleted before its delivery came to its save",
			edits: []edit{{workerFile, `	outcome := w.Engine.Deliver(ctx, &h.Delivery)`, `	if err := w.Queue.Delete(w.base, h.Received); err != nil {
		return nil
	}
	outcome := w.Engine.Deliver(ctx, &h.Delivery)`}},
			tests: in(jobsTests, anyDeath),
		},
		{
			name:   "lease-longer-than-visibility",
			breaks: "8: the message is visible again while its lease still holds",
			edits:  []edit{{"internal/jobs/lease.go", `t.Visibility = t.Lease * 3 / 2`, `t.Visibility = t.Lease / 2`}},
			tests:  in(jobsTests, "TestALeaseEndsBeforeItsMessageIsVisible"),
		},
		{
			name:   "heartbeat-extends-only-the-lease",
			breaks: "8: a step of minutes lets its message come back while the lease holds",
			edits:  []edit{{heartbeatFile, `	if err := w.Queue.Hide(ctx, h.Received, times.Visibility); err != nil {`, `	if err := ctx.Err(); err != nil {`}},
			tests:  in(jobsTests, "TestALeaseEndsBeforeItsMessageIsVisible"),
		},
		{
			name:   "heartbeat-extends-only-the-message",
			breaks: "6: a step of minutes loses its lease",
			edits:  []edit{{heartbeatFile, `	err := w.Engine.Store.Renew(ctx, hold.Job, hold.Fence, until)`, `	err := ctx.Err()`}},
			tests:  in(jobsTests, "TestALeaseEndsBeforeItsMessageIsVisible"),
		},
		{
			name:   "fenced-heartbeat-ignored",
			breaks: "6: a worker whose claim has passed on goes on with its step",
			edits: []edit{{heartbeatFile, `	case errors.Is(err, ErrFenced):
		end()`, `	case errors.Is(err, ErrFenced) && end == nil:`}},
			tests: in(jobsTests, "TestAHeartbeatThatIsFencedEndsTheDelivery"),
		},
		{
			name:   "call-outlasts-lease",
			breaks: "6: a call goes out though the lease does not outlast it",
			edits:  []edit{{"internal/jobs/lease.go", `< timeout+hold.times.Skew {`, `< 0 {`}},
			tests:  in(jobsTests, "TestACallIsMadeOnlyIfTheLeaseOutlastsIt"),
		},
		{
			name:   "drain-drops-begun",
			breaks: "1: draining cuts deliveries off that were begun",
			edits:  []edit{{workerFile, `	w.base = context.WithoutCancel(ctx)`, `	w.base = ctx`}},
			tests:  in(jobsTests, "TestADrainingWorkerFinishesItsStepsAndHandsTheRestBackAtOnce"),
		},
		{
			name:   "drain-keeps-what-is-not-begun",
			breaks: "1: what a draining worker has not begun stays hidden until its visibility ends",
			edits:  []edit{{workerFile, `	if err := w.Queue.Hide(w.base, h.Received, 0); err != nil {`, `	if err := w.base.Err(); err != nil {`}},
			tests:  in(jobsTests, "TestADrainingWorkerFinishesItsStepsAndHandsTheRestBackAtOnce"),
		},
		{
			name:   "poison-deleted",
			breaks: "1: what nobody can read is deleted instead of dead-lettered",
			edits:  []edit{{workerFile, `		if err = w.Queue.DeadLetter(w.base, h.Received, outcome.Reason); err != nil {`, `		if err = w.base.Err(); err != nil {`}},
			tests:  in(jobsTests, "TestWhatNobodyCanReadGoesToTheDeadLettersWithItsReason"),
		},
		{
			name:   "undelivered-letter-deleted",
			breaks: "1: a message whose dead letter could not be sent is deleted all the same",
			edits:  []edit{{workerFile, `			outcome = Outcome{Hide: w.Engine.Times.Visibility}`, ``}},
			tests:  in(jobsTests, "TestAMessageStaysUntilItsDeadLetterIsSent"),
		},
		{
			name:   "wake-to-the-wrong-lane",
			breaks: "1: what is begun waits behind all that is new",
			edits:  []edit{{stintFile, `WakeLane(job.Priority), next, delay)`, `SubmitLane(job.Priority), next, delay)`}},
			tests:  in(jobsTests, "TestWakesHaveALaneOfTheirOwn"),
		},
		{
			name:   "urgent-wakes-among-the-others",
			breaks: "1: an urgent job's wakes wait behind everybody's",
			edits: []edit{{"internal/jobs/ports.go", `	if p == High {
		return LaneHigh
	}
	return LaneWake`, `	if p == High {
		return LaneWake
	}
	return LaneWake`}},
			tests: in(jobsTests, "TestWakesHaveALaneOfTheirOwn"),
		},
		{
			name:   "low-lane-starves",
			breaks: "1: while there is urgent work, nothing else is ever served",
			edits:  []edit{{workerFile, `	if w.turns%share == 0 {`, `	if w.turns%share == share {`}},
			tests:  in(jobsTests, "TestNoLaneStarvesHoweverFullTheOthersAre"),
		},
		{
			name:   "hidden-for-seconds-for-ever",
			breaks: "1: an outage of an hour uses up the queue's redrive limit",
			edits: []edit{{engineFile, `	case d.Receives > 20:
		return 5 * time.Minute
	}`, `	}`}},
			tests: in(jobsTests, "TestAnOutageOfHalfADayStaysUnderTheRedriveLimit"),
		},
		{
			name:   "trickle-a-message-a-receive",
			breaks: "each event that trickles in costs a receive and a look-up of its own",
			edits:  []edit{{workerFile, `n > 0 && n < room && lane != LaneHigh {`, `n > 0 && n > room && lane != LaneHigh {`}},
			tests:  in(jobsTests, "TestMessagesThatTrickleInComeSeveralAReceiveButUrgentOnesAtOnce"),
		},
		{
			name:   "urgent-messages-gathered",
			breaks: "urgent messages wait for each other",
			edits:  []edit{{workerFile, `n > 0 && n < room && lane != LaneHigh {`, `n > 0 && n < room {`}},
			tests:  in(jobsTests, "TestMessagesThatTrickleInComeSeveralAReceiveButUrgentOnesAtOnce"),
		},
	}
}
