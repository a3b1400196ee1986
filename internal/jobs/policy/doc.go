// Package policy decides when work begins by itself: on a schedule, when an image's source has a newer version, when an
// image has become too old, and when a fleet lacks servers.
//
// A policy is no job. `stampmill apply` keeps it in the ledger; workers look at those that are due, one worker at a time by
// lease. What fires becomes a submission like anybody's. It happens once, whoever looks and however often: the instant or
// cause that was acted on and the submissions that follow from it are one conditional write, the submissions are sent after
// that, and each one's key is made of the policy, its generation and the cause, so that sending it twice names the same job.
//
// A schedule that was missed, because no worker ran, is made up for once, not once for each time missed.
package policy
