package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// widthElsewhere is how long lines may be where nobody tells.
const widthElsewhere = 120

// terminal reports whether a person watches the stream: progress is then drawn in place.
func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// colours: only a person's terminal gets them, and NO_COLOR (https://no-color.org) turns them off.
func colours(w io.Writer) bool { return terminal(w) && os.Getenv("NO_COLOR") == "" }

// widthOf is how many characters a line of the terminal has.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return widthElsewhere
}
