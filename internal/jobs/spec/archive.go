package spec

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// archive packs what is in a folder. The same content gives the same bytes wherever and whenever it is packed: names in
// order, no owners, no times. Links stay links, and must stay inside.
func archive(root string) ([]byte, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return plainError(err)
		}
		relative, err := filepath.Rel(root, file)
		if err != nil || relative == "." {
			return err
		}
		if err := pack(writer, file, filepath.ToSlash(relative), entry); err != nil {
			return fmt.Errorf("%s: %w", filepath.ToSlash(relative), err)
		}
		if packed.Len() > MaxUpload {
			return fmt.Errorf("a folder has at most %d MiB", MaxUpload>>20)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func pack(writer *tar.Writer, file, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return plainError(err)
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: time.Unix(0, 0)}
	var content []byte
	switch {
	case info.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		if err != nil {
			return plainError(err)
		}
		if leavesFolder(name, filepath.ToSlash(target)) {
			return fmt.Errorf("the link to %s leaves the folder", target)
		}
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, filepath.ToSlash(target), 0o777
	case info.Mode().IsRegular():
		if content, _, err = readRegular(file); err != nil {
			return err
		}
		header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
	default:
		return fmt.Errorf("expected files, folders and links, found %s", fileKind(info.Mode()))
	}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err = writer.Write(content)
	return err
}

func leavesFolder(name, target string) bool {
	if path.IsAbs(target) {
		return true
	}
	resolved := path.Join(path.Dir(name), target)
	return resolved == ".." || strings.HasPrefix(resolved, "../")
}
