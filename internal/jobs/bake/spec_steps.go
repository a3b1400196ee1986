package bake

import (
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Step is one thing done on the builder: run, copy or reboot. The short form is reboot or a script.
type Step struct {
	// Name says what it does, for histories.
	Name string `json:"name,omitempty"`
	// Run is a script.
	Run *spec.Script `json:"run,omitempty"`
	// Copy puts a file or folder on the builder.
	Copy *Copy `json:"copy,omitempty"`
	// Reboot restarts the builder.
	Reboot bool `json:"reboot,omitempty"`
	// Shell runs the script; absent: the platform's. Shell scripts may name another interpreter in their first line.
	Shell string `json:"shell,omitempty" enum:"sh,powershell"`
	// Env is put into the script's environment.
	Env map[string]string `json:"env,omitempty"`
	// Secrets are environment variables that get the values of Parameter Store parameters (/build/token) or Secrets Manager
	// secrets (prod/db). They are read on the builder, for this script only.
	Secrets map[string]string `json:"secrets,omitempty" example:"{TOKEN: /build/token}"`
	// Timeout is the step's time limit.
	Timeout spec.Duration `json:"timeout,omitempty" default:"30m"`
	// Restartable runs the script again from its start if the builder went down under it. Otherwise the bake fails then.
	// A script that wants a reboot exits with 194 (3010 on Windows) and is run again after it in any case.
	Restartable bool `json:"restartable,omitempty"`
}

// Copy puts a file or folder on the builder.
type Copy struct {
	// From is a file or folder, relative to the spec file.
	From spec.File `json:"from,omitzero" required:"true"`
	// To is where it goes. A file goes into To if To ends in a slash; a folder's content always does.
	To string `json:"to,omitempty" required:"true" example:"/opt/nginx"`
	// Mode of a file, in octal; absent: as it is beside the spec.
	Mode string `json:"mode,omitempty" pattern:"^0?[0-7]{3}$"`
	// Owner is a user, or user:group.
	Owner string `json:"owner,omitempty" pattern:"^[a-zA-Z0-9_.-]+(:[a-zA-Z0-9_.-]+)?$"`
}

// Verify is one thing that must hold: run or http. The short form is a script.
type Verify struct {
	// Run is a script that must end as expected.
	Run *spec.Script `json:"run,omitempty"`
	// ExitCode is the exit code that is expected.
	ExitCode int `json:"exitCode,omitempty" default:"0" min:"0" max:"255"`
	// Output must be in what the script writes.
	Output string `json:"output,omitempty"`
	// Matches is a regular expression that what the script writes must match.
	Matches string `json:"matches,omitempty"`
	// HTTP is asked on the server itself.
	HTTP *HTTP `json:"http,omitempty"`
	// Shell runs the script; absent: the platform's.
	Shell string `json:"shell,omitempty" enum:"sh,powershell"`
	// Env is put into the script's environment.
	Env map[string]string `json:"env,omitempty"`
	// Secrets are read on the server, for this script only.
	Secrets map[string]string `json:"secrets,omitempty"`
	// Timeout is the time limit.
	Timeout spec.Duration `json:"timeout,omitempty" default:"5m"`
}

// HTTP is a request to the server's own service.
type HTTP struct {
	// Port is where the service listens.
	Port int `json:"port,omitempty" required:"true" min:"1" max:"65535"`
	// Path is what is asked for.
	Path string `json:"path,omitempty" default:"/" pattern:"^/[A-Za-z0-9._~/?=&%+-]*$"`
	// TLS asks by https; the certificate is not verified.
	TLS bool `json:"tls,omitempty"`
	// Status is the status that is expected.
	Status int `json:"status,omitempty" default:"200" min:"100" max:"599"`
	// Contains must be in the answer.
	Contains string `json:"contains,omitempty"`
	// Within is how long the service may take until it answers so.
	Within spec.Duration `json:"within,omitempty" default:"30s"`
}
