package message_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/formats/messages.md")

const page = "../../../docs/formats/messages.md"

const intro = `# Messages, facts and effects

The payloads of journal events. This page is generated from internal/protocol/message
(` + "`go test ./internal/protocol/message -update`" + `).

A payload is one record in the canonical subset of the Protocol Buffers wire format that
package internal/protocol/record describes: fields ascend, zero values are absent, varints are
minimal, nothing unknown is kept. So equal values have equal bytes. Fields are numbered from 1 in
the order listed; a field keeps its number for ever, a new one gets the next number and raises the
type's schema version.

| Go type | on the wire |
|---|---|
| uint8, uint32, uint64, bool | varint |
| int64 | zig-zag varint |
| string, []byte | length-delimited |
| common.Hash, common.Address, [32]byte, aura.Signature | length-delimited, fixed length, internal byte order |
| record.Content | 32 bytes: SHA-256 of bytes that are stored once in the journal under it |
| []uint64 | packed varints |
| []T, *T | length-delimited nested records |
`

// The page lists every type as the source has it.
func TestFormatPage(t *testing.T) {
	var text bytes.Buffer
	text.WriteString(intro)
	for _, file := range sources(t) {
		describe(t, &text, file)
	}
	if *update {
		if err := os.WriteFile(page, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, text.Bytes()) {
		t.Error("docs/formats/messages.md is not what the source says: run go test ./internal/protocol/message -update")
	}
}

func sources(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") || f == "doc.go" })
}

func describe(t *testing.T, w *bytes.Buffer, file string) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	types := make(map[string]string) // Go name -> message type
	order := make(map[string][]string)
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			continue
		}
		name := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
		switch f.Name.Name {
		case "Type":
			types[name] = strings.Trim(f.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.BasicLit).Value, `"`)
		case "Fields":
			order[name] = fieldOrder(f)
		}
	}
	fmt.Fprintf(w, "\n## %s\n", strings.TrimSuffix(file, ".go"))
	for _, d := range tree.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		spec := g.Specs[0].(*ast.TypeSpec)
		title := spec.Name.Name + " (nested)"
		if typ := types[spec.Name.Name]; typ != "" {
			title = typ
		}
		fmt.Fprintf(w, "\n### %s\n\n%s\n", title, strings.ReplaceAll(strings.TrimSpace(g.Doc.Text()), "\n", " "))
		fields := fieldsOf(spec.Type.(*ast.StructType))
		if len(fields) > 0 {
			fmt.Fprintln(w)
		}
		for i, name := range order[spec.Name.Name] {
			fmt.Fprintf(w, "%d. %s\n", i+1, fields[name])
		}
		if len(order[spec.Name.Name]) != len(fields) {
			t.Errorf("%s: %d fields, %d of them encoded", spec.Name.Name, len(fields), len(order[spec.Name.Name]))
		}
	}
}

// fieldOrder returns the struct fields that a Fields method lists, in order.
func fieldOrder(f *ast.FuncDecl) (names []string) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && (id.Name == "m" || id.Name == "d") && s.Sel.Name != "Fields" {
				names = append(names, s.Sel.Name)
			}
		}
		return true
	})
	return names
}

func fieldsOf(s *ast.StructType) map[string]string {
	fields := make(map[string]string)
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			text := fmt.Sprintf("`%s` %s", name.Name, typeText(f.Type))
			if c := strings.TrimSpace(f.Comment.Text()); c != "" {
				text += " — " + c
			}
			fields[name.Name] = text
		}
	}
	return fields
}

func typeText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + typeText(e.X)
	case *ast.SelectorExpr:
		return typeText(e.X) + "." + e.Sel.Name
	case *ast.ArrayType:
		if e.Len != nil {
			return "[" + e.Len.(*ast.BasicLit).Value + "]" + typeText(e.Elt)
		}
		return "[]" + typeText(e.Elt)
	default:
		return "?"
	}
}
