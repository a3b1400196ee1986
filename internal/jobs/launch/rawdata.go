package launch

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// encoded begins user data that is no text.
const encoded = "base64:"

// RawUserData writes user data as a spec has it.
func RawUserData(data []byte) string {
	text := string(data)
	if utf8.ValidString(text) && !strings.HasPrefix(text, encoded) && !strings.ContainsRune(text, 0) {
		return text
	}
	return encoded + base64.StdEncoding.EncodeToString(data)
}

// userData is the server's own, as EC2 gets it; nothing where hostname, settings and bootstrap make it.
func (s Server) userData() ([]byte, error) {
	coded, is := strings.CutPrefix(s.UserData, encoded)
	if !is {
		return []byte(s.UserData), nil
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(coded), ""))
	if err != nil {
		return nil, jobs.Fatalf("read the user data", "server.userData", err.Error(), "write base64: and what `base64 FILE` prints")
	}
	return data, nil
}

func (s *Spec) checkUserData(p *spec.Problems) {
	if s.Server.UserData == "" {
		return
	}
	data, err := s.Server.userData()
	switch {
	case err != nil:
		p.Add("expected text, or base64: and its encoding", "write base64: and what `base64 FILE` prints")
	case len(data) == 0:
		p.Add("expected user data, found none", "leave userData out")
	case len(data) > userdata.Limit:
		p.Add("expected at most %d bytes, found %d", "have it fetch what is large, or write a bootstrap script", userdata.Limit, len(data))
	}
	if s.Hostname != "" || s.Bootstrap != nil || len(s.Settings.All) > 0 || !s.Settings.Each.IsZero() {
		p.Add("hostname, settings and bootstrap make the user data themselves", "keep one of the two ways")
	}
}

// UserDataBytes is the user data that a spec gives as it stands; nothing where it gives none.
func (s Server) UserDataBytes() ([]byte, error) { return s.userData() }
