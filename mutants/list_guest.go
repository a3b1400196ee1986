package main

// guestMutants change what runs on the servers.
func guestMutants() []mutant {
	const shellFile = "internal/jobs/guest/shell.go"
	return []mutant{
		{
			name:   "script-runs-again-after-a-reboot",
			breaks: "4: a script that its server went down under is begun anew",
			edits:  []edit{{shellFile, `  give_up 198 'died: the server went down while the script ran'`, `  :`}},
			tests:  in(guestTests, "TestARunThatTheServerWentDownUnderHasDied"),
		},
		{
			name:   "reboot-waited-for-for-ever",
			breaks: "1: a run that was killed is waited for",
			edits: []edit{{shellFile, `    if [ -n "$gone" ]; then give_up 198 'died: the script was ended from outside while it ran'; fi
`, ``}},
			tests: in(guestTests, "TestNobodyWaitsForARunThatWasKilled"),
		},
		{
			name:   "reboots-for-ever",
			breaks: "1: a script that asks for a reboot each time goes on for ever",
			edits:  []edit{{shellFile, `if [ $# -gt 11 ]; then`, `if [ $# -gt 1100 ]; then`}},
			tests:  in(guestTests, "TestAScriptThatRebootsForEverFails"),
		},
		{
			name:   "script-runs-twice",
			breaks: "4: a second command under the same token runs the script again",
			edits: []edit{{shellFile, `if [ -f "$dir/exit" ]; then tell; fi
mkdir -p`, `rm -rf "$dir"
mkdir -p`}},
			tests: in(guestTests, "TestAScriptRunsOnceUnderItsToken"),
		},
		{
			name:   "reboot-step-reboots-twice",
			breaks: "4: a reboot step reboots at each repetition",
			edits:  []edit{{"internal/jobs/guest/reboot.go", `if [ -f "$dir/exit" ]; then exit 0; fi`, `rm -f "$dir/exit" "$dir/boot"`}},
			tests:  in(guestTests, "TestARebootHappensOnce"),
		},
		{
			name:   "secrets-on-disk",
			breaks: "7: secrets are left in a file of the image",
			edits:  []edit{{shellFile, `give_up 197 %s\n  export %[1]s\n"`, `give_up 197 %s\n  export %[1]s; echo \"$%[1]s\" >>\"$dir/env\"\n"`}},
			tests:  in(guestTests, "TestASecretIsLeftInNoFile"),
		},
		{
			name:   "secrets-in-history",
			breaks: "7: what a script's secrets were is told in the job's history",
			edits:  []edit{{shellFile, `give_up 197 %s\n  export %[1]s\n"`, `give_up 197 %s\n  export %[1]s; echo \"read $%[1]s\" >&2\n"`}},
			tests:  in(guestTests, "TestASecretIsLeftInNoFile"),
		},
	}
}
