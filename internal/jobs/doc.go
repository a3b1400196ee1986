// Package jobs is Stampmill's domain: jobs that are carried out one idempotent step at a time by any number of workers.
//
// A job is one item of a table. A delivery is one queue message in a worker's hands. It claims the job by one
// conditional write, which raises the fence that every later write of the delivery carries, so that a worker whose claim
// has passed on changes nothing. Then it carries out steps until one has to wait, sends the job's next message, saves the
// job with a raised seq, and deletes the old message, in that order. Kill a worker between any two calls, and either the
// old message or the next one still stands for the job: another worker carries on.
//
// A step returns its next move: done, wait, fan out or fail. Waiting holds nothing but an item and a delayed message; a
// wait longer than a queue's delay holds an entry in the index of due jobs, which the sweeper reads. What a step makes in
// AWS it makes through Make (look, act, record), and what a crash leaves behind all the same the reaper removes.
//
// Decide is the whole message protocol as one function. The package imports no AWS code: the ports in ports.go say what it
// needs, and internal/aws satisfies them.
package jobs
