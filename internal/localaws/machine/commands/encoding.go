package commands

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var encodingCommands = map[string]shell.Program{
	"md5sum": sum(md5.New), "sha1sum": sum(sha1.New), "sha256sum": sum(sha256.New), "sha512sum": sum(sha512.New),
	"base64": base64Program, "gzip": gzipProgram, "gunzip": gzipProgram, "zcat": gzipProgram, "tar": tarProgram, "od": od, "xxd": od,
}

func sum(algorithm func() hash.Hash) shell.Program {
	return func(_ context.Context, p *shell.Process) int {
		o, ok := parse(p, "c,check q,quiet s,status b t w")
		if !ok {
			return 1
		}
		digest := func(data []byte) string {
			h := algorithm()
			h.Write(data)
			return hex.EncodeToString(h.Sum(nil))
		}
		if !o.has("c") {
			return inputs(p, o.args, func(name string, data []byte) { fmt.Fprintf(p.Out, "%s  %s\n", digest(data), name) })
		}
		failed := 0
		code := inputs(p, o.args, func(_ string, list []byte) {
			for _, line := range lines(list) {
				want, name, _ := strings.Cut(line, " ")
				name = strings.TrimLeft(name, " *")
				data, err := p.ReadFile(name)
				verdict := "OK"
				if err != nil || digest(data) != want {
					verdict, failed = "FAILED", 1
				}
				if !o.has("s") && (verdict == "FAILED" || !o.has("q")) {
					fmt.Fprintf(p.Out, "%s: %s\n", name, verdict)
				}
			}
		})
		return max(code, failed)
	}
}

func base64Program(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "d,decode w:wrap i,ignore-garbage D")
	if !ok {
		return 1
	}
	code := 0
	return max(inputs(p, o.args, func(_ string, data []byte) {
		if o.has("d") || o.has("D") {
			clean := strings.Join(strings.Fields(string(data)), "")
			plain, err := base64.StdEncoding.DecodeString(clean)
			if err != nil {
				p.Errorf("invalid input")
				code = 1
			}
			code = max(code, output(p, string(plain)))
			return
		}
		encoded := base64.StdEncoding.EncodeToString(data)
		width, ok := integer(p, o.last("w", "76"))
		if !ok {
			code = 1
			return
		}
		for width > 0 && len(encoded) > width {
			output(p, encoded[:width]+"\n")
			encoded = encoded[width:]
		}
		if width > 0 {
			encoded += "\n"
		}
		code = max(code, output(p, encoded))
	}), code)
}

func zip(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	// Writing to memory cannot fail.
	_, errWrite := w.Write(data)
	if err := errors.Join(errWrite, w.Close()); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func unzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	data, err = io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err == nil && len(data) > maxUnpacked {
		err = syscall.EFBIG
	}
	return data, err
}

// maxUnpacked bounds what a compressed file grows to, in bytes.
const maxUnpacked = 64 << 20

func gzipProgram(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "d,decompress c,stdout f,force k,keep n,no-name 1 9 q v t")
	if !ok {
		return 1
	}
	name := path.Base(p.Args[0])
	back := o.has("d") || name != "gzip"
	convert := func(data []byte) ([]byte, error) {
		if back {
			return unzip(data)
		}
		return zip(data), nil
	}
	if len(o.args) == 0 || o.has("c") || name == "zcat" {
		failed := 0
		code := inputs(p, o.args, func(_ string, data []byte) {
			converted, err := convert(data)
			if err != nil {
				p.Errorf("stdin: not in gzip format")
				failed = 1
				return
			}
			output(p, string(converted))
		})
		return max(code, failed)
	}
	return each(p, o.args, "%s", func(name string) error {
		data, err := p.Files().ReadFile(p.Path(name))
		if err != nil {
			return err
		}
		converted, err := convert(data)
		if err != nil {
			return errors.New("not in gzip format")
		}
		target := name + ".gz"
		if back {
			target = strings.TrimSuffix(name, ".gz")
		}
		if err := p.Files().Write(p.Path(target), converted, 0o644); err != nil || o.has("k") {
			return err
		}
		return p.Files().Remove(p.Path(name), false)
	})
}

func od(_ context.Context, p *shell.Process) int {
	data, err := io.ReadAll(p.In)
	if err != nil {
		return 1
	}
	return output(p, hex.EncodeToString(data)+"\n")
}

func tarProgram(_ context.Context, p *shell.Process) int {
	args := p.Args[1:]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = append([]string{"-" + args[0]}, args[1:]...)
	}
	o, ok := parseArgs(p, "c,create x,extract t,list f:file z,gzip v,verbose C:directory p,preserve-permissions strip-components: no-same-owner exclude: h", args, true)
	if !ok {
		return 2
	}
	dir := p.Path(o.last("C", "."))
	if o.has("c") {
		return createArchive(p, o, dir)
	}
	data, err := p.ReadFile(o.last("f", "-"))
	if err != nil {
		p.Errorf("%s: Cannot open: %s", o.last("f", "-"), files.Reason(err))
		return 2
	}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if data, err = unzip(data); err != nil {
			p.Errorf("Child returned status 1: %v", err)
			return 2
		}
	}
	return readArchive(p, o, dir, data)
}

func createArchive(p *shell.Process, o options, dir string) int {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	code := 0
	for _, name := range o.args {
		root := path.Clean(joinPath(dir, name))
		err := p.Files().Walk(root, func(file string, n *files.Node) error {
			entry := strings.TrimPrefix(path.Join(name, strings.TrimPrefix(file, root)), "/")
			for _, exclude := range o.values["exclude"] {
				if glob(exclude, path.Base(entry)) {
					return fs.SkipDir
				}
			}
			if o.has("v") {
				fmt.Fprintln(p.Err, entry)
			}
			return writeEntry(w, p, entry, file, n)
		})
		if err != nil {
			p.Errorf("%s: Cannot stat: %s", name, files.Reason(err))
			code = 2
		}
	}
	if err := w.Close(); err != nil {
		p.Errorf("%v", err)
		return 2
	}
	data := out.Bytes()
	if o.has("z") {
		data = zip(data)
	}
	target := o.last("f", "-")
	if target == "-" {
		return max(code, output(p, string(data)))
	}
	if err := p.Files().Write(p.Path(target), data, 0o666&^p.Umask); err != nil {
		p.Errorf("%s: Cannot open: %s", target, files.Reason(err))
		return 2
	}
	return code
}

func joinPath(dir, name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return dir + "/" + name
}

func writeEntry(w *tar.Writer, p *shell.Process, entry, file string, n *files.Node) error {
	h := &tar.Header{Name: entry, Mode: int64(n.Mode.Perm()), Uid: n.UID, Gid: n.GID, ModTime: n.ModTime, Typeflag: tar.TypeReg}
	var data []byte
	switch {
	case n.Mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, entry+"/"
	case n.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(n.Data)
	default:
		var err error
		if data, err = p.Files().ReadFile(file); err != nil {
			return err
		}
		h.Size = int64(len(data))
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

func readArchive(p *shell.Process, o options, dir string, data []byte) int {
	strip, ok := integer(p, o.last("strip-components", "0"))
	if !ok {
		return 2
	}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return 0
		}
		if err != nil {
			p.Errorf("This does not look like a tar archive")
			return 2
		}
		if o.has("t") || o.has("v") {
			output(p, h.Name+"\n")
		}
		if o.has("t") {
			continue
		}
		parts := strings.Split(strings.Trim(path.Clean("/"+h.Name), "/"), "/")
		if len(parts) <= strip || len(o.args) > 0 && !wanted(o.args, h.Name) {
			continue
		}
		if err := extract(p, h, r, path.Join(append([]string{dir}, parts[strip:]...)...)); err != nil {
			p.Errorf("%s: %s", h.Name, files.Reason(err))
			return 2
		}
	}
}

func wanted(names []string, entry string) bool {
	for _, name := range names {
		if clean := strings.TrimSuffix(name, "/"); strings.TrimSuffix(entry, "/") == clean || strings.HasPrefix(entry, clean+"/") {
			return true
		}
	}
	return false
}

func extract(p *shell.Process, h *tar.Header, r io.Reader, target string) error {
	if target == "/" {
		return nil
	}
	tree := p.Files()
	if err := tree.MkdirAll(path.Dir(target), 0o755); err != nil {
		return err
	}
	n := files.Node{Mode: fs.FileMode(h.Mode) & fs.ModePerm, UID: h.Uid, GID: h.Gid, ModTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeDir:
		n.Mode |= fs.ModeDir
	case tar.TypeSymlink:
		n.Mode, n.Data = fs.ModeSymlink|0o777, []byte(h.Linkname)
	default:
		data, err := io.ReadAll(io.LimitReader(r, maxUnpacked))
		if err != nil {
			return err
		}
		n.Data = data
	}
	if n.ModTime.IsZero() {
		n.ModTime = time.Now()
	}
	return tree.Place(target, n)
}
