package guest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Peek is a shell script that prints what the script under the token has written beyond the given numbers of bytes, while
// it runs or after it: the wrapper keeps both streams in files. It changes nothing. ReadPeek takes what it prints.
func Peek(token string, stdout, stderr int) string {
	return fmt.Sprintf(`dir=%[1]s
[ -d "$dir" ] || dir=%[2]s
[ -d "$dir" ] || exit 0
if [ -f "$dir/stdout" ]; then echo "stdout $(tail -c +%[3]d "$dir/stdout" | head -c %[5]d | base64 | tr -d '\n')"; fi
if [ -f "$dir/stderr" ]; then echo "stderr $(tail -c +%[4]d "$dir/stderr" | head -c %[5]d | base64 | tr -d '\n')"; fi
`, Quote(RunFolder+"/"+token), Quote(RunFolderBoot+"/"+token), stdout+1, stderr+1, peekBytes)
}

// peekBytes of each stream are in one answer: SSM keeps 24,000 characters (aws-facts "SSM Run Command").
const peekBytes = 8000

// ReadPeek gives what Peek printed, in whole characters; more: there is at once more to be had.
func ReadPeek(output string) (stdout, stderr []byte, more bool) {
	full := false
	for line := range strings.Lines(output) {
		stream, encoded, _ := strings.Cut(strings.TrimSpace(line), " ")
		content, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue // a line that was cut; it comes again
		}
		full = full || len(content) == peekBytes
		switch stream {
		case "stdout":
			stdout = wholeCharacters(content)
		case "stderr":
			stderr = wholeCharacters(content)
		}
	}
	return stdout, stderr, full && len(stdout)+len(stderr) > 0
}

// wholeCharacters leaves out the beginning of a character whose rest is not there yet.
func wholeCharacters(content []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(content); n++ {
		last := content[len(content)-n:]
		if utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return content[:len(content)-n]
			}
			break
		}
	}
	return content
}

// Errors gives a script's errors as it wrote them: without the end of the output that the wrapper puts before long ones.
func Errors(stderr string) string {
	if strings.HasPrefix(stderr, endFollows) {
		if _, whole, long := strings.Cut(stderr, wholeFollows+"\n"); long {
			return whole
		}
	}
	return stderr
}
