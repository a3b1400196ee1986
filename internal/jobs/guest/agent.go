package guest

import _ "embed"

//go:embed agent.sh
var installAgent string

// InstallAgent is the user data that puts the SSM agent on a Linux server that comes without it.
func InstallAgent() string { return installAgent }
