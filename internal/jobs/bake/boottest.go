package bake

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
)

// testSteps launch a server from the new AMI, which must pass the same verify as the builder did.
func (b *program) testSteps() []jobs.Step {
	test := &b.progress.Test
	steps := []jobs.Step{
		{Name: "boot-test", Do: b.launchTest},
		{Name: "boot-test-answers", Do: b.answers(thingTest, test)},
	}
	steps = append(steps, b.verifySteps("boot-test-verify", test)...)
	return append(steps, jobs.Step{Name: "boot-test-end", Do: b.endTest})
}

// endTest ends the test server; the last step sees that it is gone.
func (b *program) endTest(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	return jobs.Done(), b.ec2().Terminate(ctx, b.progress.Test.ID)
}
