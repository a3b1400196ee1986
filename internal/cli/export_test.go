package cli

// RunWith is Run with other clients than the environment's: an endpoint in process.
var RunWith = run
