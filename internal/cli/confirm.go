package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// asks reports whether a person sits there who can be asked.
func asks(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// confirm says what is about to be done and asks before it: it cannot be taken back. Without a person it takes --yes.
func (c *command) confirm(yes bool, question string) error {
	fmt.Fprintln(c.Err, lines(question))
	if yes {
		return nil
	}
	if !c.asks(c.In) {
		return exitf(ExitUsage, "nothing was done: add --yes, or run it on a terminal")
	}
	fmt.Fprint(c.Err, "Type yes to go on: ")
	answer, err := bufio.NewReader(c.In).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return exitf(ExitFailure, "nothing was done")
	}
	return nil
}
