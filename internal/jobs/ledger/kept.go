package ledger

// KeptRoot is a server's former root volume, and what the server ran from it.
type KeptRoot struct {
	Volume string `json:"volume"`
	Image  string `json:"image,omitempty"` // web@41
	AMI    string `json:"ami,omitempty"`
	// Stays: it was not to be deleted with its server.
	Stays bool `json:"stays,omitempty"`
}
