// Package exportfile is the format of a snapshot that travels: one file of frames.
//
//	w, err := exportfile.NewWriter(file)
//	err = w.Frame(exportfile.Manifest, manifest)
//	...
//	err = w.Close()
//
//	r, err := exportfile.NewReader(file)
//	manifest, err := r.Want(exportfile.Manifest)
//	kind, data, err := r.Next()
//
// A reader holds one frame at a time, and no more memory than the file has bytes:
// a length is not believed before the bytes are there. What the frames mean is
// for internal/node to say. docs/formats/snapshot.md draws the file.
package exportfile
