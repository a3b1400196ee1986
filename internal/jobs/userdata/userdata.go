// Package userdata builds what the servers of one batch are told at boot. All instances of a RunInstances call get the
// same bytes, so the bytes hold a list, and each server takes the entry of its launch index: cloud-init renders the Jinja
// template with ds.meta_data.ami_launch_index, Windows reads the index from the metadata service.
//
// Settings arrive as /run/stampmill/settings.json, written at every boot, with a copy in /var/lib/stampmill; the bootstrap
// script runs once, at the first. What does not fit EC2's 16 KiB even compressed goes into a manifest that the servers
// fetch. The same batch always gives the same bytes: a client token must see the same parameters again.
package userdata

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Limit is what EC2 takes, before base64 (aws-facts "Launching").
const Limit = 16 << 10

// Server is what one server is told.
type Server struct {
	Ordinal  int
	Hostname string // may be empty: EC2's own
	Settings []byte // a JSON object; nil: none
}

// Batch is the servers of one call, by launch index.
type Batch struct {
	Fleet     string
	Platform  string // windows, else Linux
	Servers   []Server
	Bootstrap string // a script; empty: none
}

// Empty reports whether there is nothing to tell: then the launch template's or the image's own user data stands.
func (b Batch) Empty() bool {
	if b.Bootstrap != "" {
		return false
	}
	for _, server := range b.Servers {
		if server.Hostname != "" || server.Settings != nil {
			return false
		}
	}
	return true
}

// Build gives the user data with everything in it. Fits is false when that is more than EC2 takes; then Manifest has to be
// put somewhere that the servers reach, and Fetching is their user data.
func (b Batch) Build() (data []byte, fits bool, err error) {
	if b.Platform == "windows" {
		data, err := b.windows("")
		return data, err == nil && len(data) <= Limit, err
	}
	return shrink([]byte(b.cloudConfig("")))
}

// Fetching gives the user data of servers that fetch the manifest from url.
func (b Batch) Fetching(url string) ([]byte, error) {
	if strings.ContainsAny(url, "'\"{}\n\\ ") {
		return nil, fmt.Errorf("the manifest's address %q cannot stand in a shell script", url)
	}
	if b.Platform == "windows" {
		data, err := b.windows(url)
		if err == nil && len(data) > Limit {
			err = tooLong(len(data))
		}
		return data, err
	}
	data, fits, err := shrink([]byte(b.cloudConfig(url)))
	if err == nil && !fits {
		err = tooLong(len(data))
	}
	return data, err
}

func tooLong(size int) error {
	return fmt.Errorf("the user data is %d bytes even without settings and bootstrap, EC2 takes %d; use shorter host names", size, Limit)
}

// Manifest is what does not fit: a line a server with its settings, then a line with the bootstrap script, all in base64.
func (b Batch) Manifest() []byte {
	var out bytes.Buffer
	for _, server := range b.Servers {
		out.WriteString(base64.StdEncoding.EncodeToString(server.Settings) + "\n")
	}
	out.WriteString(base64.StdEncoding.EncodeToString([]byte(b.script())) + "\n")
	return out.Bytes()
}

// Digest names the manifest by its content.
func (b Batch) Digest() string {
	sum := sha256.Sum256(b.Manifest())
	return hex.EncodeToString(sum[:12])
}

// script is the bootstrap script with an interpreter line, so that it can be run by its path.
func (b Batch) script() string {
	if b.Bootstrap == "" || b.Platform == "windows" || strings.HasPrefix(b.Bootstrap, "#!") {
		return b.Bootstrap
	}
	return "#!/bin/sh\n" + b.Bootstrap
}

func (b Batch) hasSettings() bool {
	for _, server := range b.Servers {
		if server.Settings != nil {
			return true
		}
	}
	return false
}

func (b Batch) hasHostnames() bool {
	for _, server := range b.Servers {
		if server.Hostname != "" {
			return true
		}
	}
	return false
}

func (b Batch) hostnames() []string {
	names := make([]string, len(b.Servers))
	for i, server := range b.Servers {
		names[i] = server.Hostname
	}
	return names
}

func (b Batch) ordinals() []string {
	texts := make([]string, len(b.Servers))
	for i, server := range b.Servers {
		texts[i] = fmt.Sprint(server.Ordinal)
	}
	return texts
}

// shrink compresses what is too long as it is; cloud-init unpacks gzip by itself.
func shrink(plain []byte) (data []byte, fits bool, err error) {
	if len(plain) <= Limit {
		return plain, true, nil
	}
	packed, err := pack(plain)
	return packed, err == nil && len(packed) <= Limit, err
}

// pack compresses without name and time, so that the same content gives the same bytes.
func pack(plain []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
