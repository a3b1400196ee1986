package shell

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// scope holds the variables of the script, or the local ones of a function.
type scope struct {
	parent *scope
	vars   map[string]expand.Variable
}

func (c *scope) get(name string) expand.Variable {
	for ; c != nil; c = c.parent {
		if v, ok := c.vars[name]; ok {
			return v
		}
	}
	return expand.Variable{}
}

// set stores the variable where it is declared, else in the script's own scope.
func (c *scope) set(name string, v expand.Variable) {
	for ; c.parent != nil; c = c.parent {
		if _, ok := c.vars[name]; ok {
			break
		}
	}
	c.vars[name] = v
}

func (c *scope) clone() *scope {
	if c == nil {
		return nil
	}
	return &scope{parent: c.parent.clone(), vars: maps.Clone(c.vars)}
}

func (c *scope) each(f func(string, expand.Variable) bool) {
	all := map[string]expand.Variable{}
	for ; c != nil; c = c.parent {
		for name, v := range c.vars {
			if _, ok := all[name]; !ok {
				all[name] = v
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !f(name, all[name]) {
			return
		}
	}
}

// exported is the environment of a child.
func (c *scope) exported() map[string]string {
	env := map[string]string{}
	var collect func(*scope)
	collect = func(c *scope) {
		if c == nil {
			return
		}
		collect(c.parent)
		for name, v := range c.vars {
			if v.Exported && v.Set {
				env[name] = v.String()
			} else {
				delete(env, name)
			}
		}
	}
	collect(c)
	return env
}

var errReadonly = errors.New("readonly variable")

// environ gives the expansion the shell's variables.
type environ struct{ s *shell }

func text(value string) expand.Variable {
	return expand.Variable{Set: true, Kind: expand.String, Str: value}
}

func (e environ) Get(name string) expand.Variable { return e.s.expanding(e.get(name)) }

func (e environ) get(name string) expand.Variable {
	s := e.s
	switch name {
	case "#":
		return text(strconv.Itoa(len(s.params)))
	case "@", "*":
		return expand.Variable{Set: true, Kind: expand.Indexed, List: append([]string{}, s.params...)}
	case "?":
		return text(strconv.Itoa(s.status))
	case "$":
		return text(strconv.Itoa(s.process.PID))
	case "!":
		if s.lastJob == 0 {
			return expand.Variable{}
		}
		return text(strconv.Itoa(s.lastJob))
	case "-":
		return text(s.optionLetters())
	case "0":
		return text(s.name)
	case "PPID":
		return text(strconv.Itoa(s.process.Parent))
	case "UID", "EUID":
		return text("0")
	case "BASHPID":
		return text(strconv.Itoa(s.process.PID))
	case "BASH_VERSION":
		if s.posix {
			return s.scope.get(name)
		}
		return text("5.2.15(1)-release")
	case "BASH_SOURCE":
		return expand.Variable{Set: true, Kind: expand.Indexed, List: []string{s.name}}
	case "PIPESTATUS":
		if s.pipeStatus == nil {
			return expand.Variable{Set: true, Kind: expand.Indexed, List: []string{strconv.Itoa(s.status)}}
		}
		return expand.Variable{Set: true, Kind: expand.Indexed, List: s.pipeStatus}
	case "SECONDS":
		return text(strconv.Itoa(int(time.Since(s.started).Seconds())))
	case "EPOCHSECONDS":
		return text(strconv.FormatInt(time.Now().Unix(), 10))
	case "RANDOM":
		// A small generator per shell: scripts want numbers that differ, and a repeated run wants the same.
		s.random = s.random*1103515245 + 12345 + uint32(s.process.PID)
		return text(strconv.Itoa(int(s.random>>16) & 0x7fff))
	case "HOSTNAME":
		if v := s.scope.get(name); v.Set {
			return v
		}
		content, err := s.system.Files.ReadFile("/proc/sys/kernel/hostname")
		if err != nil {
			return expand.Variable{}
		}
		return text(strings.TrimSpace(string(content)))
	}
	if len(name) == 1 && name[0] >= '1' && name[0] <= '9' || len(name) > 1 && name[0] >= '1' && name[0] <= '9' {
		if i, err := strconv.Atoi(name); err == nil {
			if i <= len(s.params) {
				return text(s.params[i-1])
			}
			return expand.Variable{}
		}
	}
	if user, ok := strings.CutPrefix(name, "HOME "); ok {
		return text(s.homeOf(user))
	}
	return s.scope.get(name)
}

// homeOf answers ~user. A user who does not exist expands to itself; without an answer the expansion would ask the real
// system.
func (s *shell) homeOf(user string) string {
	content, err := s.system.Files.ReadFile("/etc/passwd")
	if err == nil {
		for line := range strings.Lines(string(content)) {
			if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 5 && fields[0] == user {
				return fields[5]
			}
		}
	}
	return "~" + user
}

func (e environ) Set(name string, v expand.Variable) error { return e.s.setVariable(name, v) }

func (e environ) Each(f func(string, expand.Variable) bool) { e.s.scope.each(f) }

func (s *shell) setVariable(name string, v expand.Variable) error {
	before := s.scope.get(name)
	if before.ReadOnly {
		return fmt.Errorf("%s: %w", name, errReadonly)
	}
	if before.Kind == expand.NameRef && v.Kind != expand.NameRef && before.Str != "" {
		return s.setVariable(before.Str, v)
	}
	v.Exported = v.Exported || before.Exported || s.options['a']
	s.scope.set(name, v)
	return nil
}

func (s *shell) setString(name, value string) {
	if err := s.setVariable(name, text(value)); err != nil {
		s.complain("%v", err)
		s.status = 1
	}
}

func (s *shell) get(name string) string { return environ{s}.Get(name).String() }

func (s *shell) optionLetters() string {
	var letters []byte
	for _, option := range []byte("aefnuxC") {
		if s.options[option] {
			letters = append(letters, option)
		}
	}
	return string(letters)
}

// assign performs name=value, name[i]=value, name+=value and name=(…). It reports false if the value could not be had.
func (s *shell) assign(as *syntax.Assign, attributes func(*expand.Variable)) bool {
	before := s.scope.get(as.Name.Value)
	name, resolved := before.Resolve(environ{s})
	if name != "" {
		before = resolved
	} else {
		name = as.Name.Value
	}
	v, ok := s.assignedValue(as, before)
	if !ok {
		return false
	}
	attributes(&v)
	if err := s.setVariable(name, v); err != nil {
		s.complain("%v", err)
		s.status = 1
		return false
	}
	return true
}

func (s *shell) assignedValue(as *syntax.Assign, before expand.Variable) (expand.Variable, bool) {
	v := before
	v.Set = true
	if as.Array != nil {
		return s.arrayValue(as, v)
	}
	value := ""
	if as.Value != nil {
		var ok bool
		if value, ok = s.literal(as.Value); !ok {
			return v, false
		}
	}
	switch {
	case as.Index != nil, before.Kind == expand.Indexed, before.Kind == expand.Associative:
		return s.elementValue(as, v, value)
	case as.Append:
		value = before.String() + value
	}
	v.Kind, v.Str = expand.String, value
	return v, true
}
