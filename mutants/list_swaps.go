package main

// swapMutants change what the adapters ask of DynamoDB and Auto Scaling while fleets are rolled.
func swapMutants() []mutant {
	const groupsTests = "internal/aws/autoscaling"
	return []mutant{
		{
			name:   "swap-over-healed-holder",
			breaks: "2: a swap takes an ordinal from a server that another operation put there, which no ledger names then",
			edits: []edit{{ledgerTests + "/seconds.go", `t.put(holder, either(s.Old, s.New)), t.put(second, either(s.New, s.Old))`,
				`t.put(holder, condition{}), t.put(second, either(s.New, s.Old))`}},
			tests: in(ledgerTests, "TestASwapOverAnotherServerChangesNoneOfItsTransaction"),
		},
		{
			name:   "swap-forgets-the-old",
			breaks: "2: a swap names the successor in both slots, and no ledger names the old server",
			edits:  []edit{{ledgerTests + "/seconds.go", `second, err := serverItem(s.Old, secondKey)`, `second, err := serverItem(s.New, secondKey)`}},
			tests:  in(ledgerTests, "TestASwapNamesBothServersThroughoutAndMayBeRepeatedAndTakenBack"),
		},
		{
			name:   "refresh-drops-the-policy",
			breaks: "a refresh of a group with a mixed instances policy takes the policy from it",
			edits:  []edit{{groupsTests + "/autoscaling.go", `policy := found.MixedInstancesPolicy; policy != nil &&`, `policy := found.MixedInstancesPolicy; policy == nil &&`}},
			tests:  in(groupsTests, "TestAMixedGroupKeepsItsPolicyButForTheVersion"),
		},
		{
			name:   "refresh-ends-standby",
			breaks: "a refresh ends instances that somebody put on standby",
			edits:  []edit{{groupsTests + "/autoscaling.go", `StandbyInstances: types.StandbyInstancesIgnore`, `StandbyInstances: types.StandbyInstancesTerminate`}},
			tests:  in(groupsTests, "TestWhatARefreshIsAskedFor"),
		},
	}
}
