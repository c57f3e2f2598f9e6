package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// checkPurity judges the files of a deterministic package.
func checkPurity(p *typedPackage) []finding {
	var out []finding
	for _, s := range p.files {
		v := &purity{pkg: p, src: s, seen: map[string]bool{}, calls: map[*ast.Ident]bool{}}
		v.imports()
		v.walk()
		out = append(out, v.found...)
	}
	return out
}

// purity collects the findings of one file, one for each line and rule.
type purity struct {
	pkg   *typedPackage
	src   *source
	seen  map[string]bool
	calls map[*ast.Ident]bool // names that a visited call calls
	found []finding
}

func (v *purity) add(at token.Pos, rule, format string, args ...any) {
	f := finding{v.src.pos(at), rule, fmt.Sprintf(format, args...)}
	key := fmt.Sprintf("%d %s", f.pos.Line, rule)
	if !v.seen[key] {
		v.seen[key] = true
		v.found = append(v.found, f)
	}
}

// imports wants only packages that are known to be deterministic.
func (v *purity) imports() {
	for _, spec := range v.src.file.Imports {
		p := importPath(spec)
		if own(p) != "" || pureImports[p] || v.excepted(p) {
			continue
		}
		v.add(spec.Pos(), "import", "%s is not on the list of deterministic packages (purity_imports_test.go)", p)
	}
}

// excepted tells whether a package of internal/protocol may import p.
func (v *purity) excepted(p string) bool {
	for _, e := range importExceptions {
		if e.dir == v.src.dir && e.path == p {
			return true
		}
	}
	return false
}

// walk visits every node; functions are visited with what encloses them, so
// that assignments know whether they run before anything else does.
func (v *purity) walk() {
	for _, decl := range v.src.file.Decls {
		fn, isFunc := decl.(*ast.FuncDecl)
		initial := !isFunc || fn.Recv == nil && fn.Name.Name == "init"
		var above []ast.Node
		ast.Inspect(decl, func(n ast.Node) bool {
			if n == nil {
				above = above[:len(above)-1]
				return true
			}
			v.node(n, above)
			if !initial || withinLiteral(above) {
				v.writes(n)
			}
			above = append(above, n)
			return true
		})
	}
}

// withinLiteral tells whether a node lies in a function literal, which may run
// at any time.
func withinLiteral(above []ast.Node) bool {
	return slices.ContainsFunc(above, func(n ast.Node) bool {
		_, ok := n.(*ast.FuncLit)
		return ok
	})
}

func (v *purity) node(n ast.Node, above []ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		v.add(n.Pos(), "goroutine", "a deterministic package starts no goroutine")
	case *ast.SelectStmt:
		v.add(n.Pos(), "channel", "select is not deterministic")
	case *ast.SendStmt, *ast.ChanType:
		v.add(n.Pos(), "channel", "a deterministic package uses no channel")
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			v.add(n.Pos(), "float", "%s: write it as an integer", n.Value)
		}
	case *ast.RangeStmt:
		v.rangeOver(n)
	case *ast.Ident:
		v.use(n)
	case *ast.CallExpr:
		v.call(n, above)
	}
	if e, ok := n.(ast.Expr); ok {
		v.typeOf(e)
	}
}

// typeOf finds floating point and channels that no syntax shows.
func (v *purity) typeOf(e ast.Expr) {
	t := v.pkg.info.TypeOf(e)
	if t == nil {
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		if u.Info()&(types.IsFloat|types.IsComplex) != 0 {
			v.add(e.Pos(), "float", "%s: floating point differs between machines", types.TypeString(t, nil))
		}
	case *types.Chan:
		v.add(e.Pos(), "channel", "a deterministic package uses no channel")
	}
}

// rangeOver refuses the iteration over a map where its order can be seen.
func (v *purity) rangeOver(n *ast.RangeStmt) {
	t := v.pkg.info.TypeOf(n.X)
	if t != nil && hasMapCore(t) && (n.Key != nil || n.Value != nil) {
		v.add(n.Pos(), "map order", "range over %s: range over slices.Sorted(maps.Keys(m)), or keep a slice or a tree", types.TypeString(t, types.RelativeTo(nil)))
	}
}

// hasMapCore is true for maps, and for type parameters that may be one.
func hasMapCore(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Interface:
		for i := range u.NumEmbeddeds() {
			switch e := u.EmbeddedType(i).(type) {
			case *types.Union:
				for j := range e.Len() {
					if hasMapCore(e.Term(j).Type()) {
						return true
					}
				}
			default:
				if hasMapCore(e) {
					return true
				}
			}
		}
	}
	return false
}

// use refuses names that read what is not an input.
func (v *purity) use(id *ast.Ident) {
	obj := v.pkg.info.Uses[id]
	if obj == nil {
		return
	}
	if b, ok := obj.(*types.Builtin); ok {
		switch b.Name() {
		case "recover":
			v.add(id.Pos(), "recover", "the runtime ends a panic at the turn's boundary; nothing else does")
		case "print", "println":
			v.add(id.Pos(), "impure", "%s writes to the process's standard error", b.Name())
		}
		return
	}
	if name := fullName(obj); name != "" {
		if why, bad := impureNames[name]; bad {
			v.add(id.Pos(), "impure", "%s: %s", name, why)
		}
		if why, bad := mapIterators[name]; bad && !v.calls[id] {
			v.add(id.Pos(), "map order", "%s: %s", name, why)
		}
	}
}

// fullName is path.Name, or path.Type.Name for methods.
func fullName(obj types.Object) string {
	if obj.Pkg() == nil {
		return ""
	}
	name := obj.Name()
	if fn, ok := obj.(*types.Func); ok {
		if recv := fn.Signature().Recv(); recv != nil {
			t := recv.Type()
			if ptr, ok := t.(*types.Pointer); ok {
				t = ptr.Elem()
			}
			named, ok := t.(*types.Named)
			if !ok {
				return ""
			}
			return named.Obj().Pkg().Path() + "." + named.Obj().Name() + "." + name
		}
	}
	if obj.Parent() != obj.Pkg().Scope() {
		return ""
	}
	return obj.Pkg().Path() + "." + name
}

// called is the object that a call calls, nil where that is a value.
func (v *purity) called(call *ast.CallExpr) types.Object {
	if id := calledName(call); id != nil {
		return v.pkg.info.Uses[id]
	}
	return nil
}

// calledName is the identifier of the function that a call calls by name.
func calledName(call *ast.CallExpr) *ast.Ident {
	fun := ast.Unparen(call.Fun)
	for {
		switch f := fun.(type) {
		case *ast.IndexExpr:
			fun = f.X
			continue
		case *ast.IndexListExpr:
			fun = f.X
			continue
		case *ast.Ident:
			return f
		case *ast.SelectorExpr:
			return f.Sel
		}
		return nil
	}
}

// call refuses iterators over maps that are not sorted where they are made,
// and formatting that prints addresses or the order of a map.
func (v *purity) call(call *ast.CallExpr, above []ast.Node) {
	v.printed(call)
	id := calledName(call)
	obj := v.called(call)
	if obj == nil {
		return
	}
	v.calls[id] = true
	name := fullName(obj)
	if why, ok := mapIterators[name]; ok && !v.sortedAtOnce(name, above) {
		v.add(call.Pos(), "map order", "%s: %s", name, why)
	}
}

// sortedAtOnce tells whether an iterator over a map is itself the argument of
// a function that sorts it.
func (v *purity) sortedAtOnce(iterator string, above []ast.Node) bool {
	if len(above) == 0 {
		return false
	}
	outer, ok := above[len(above)-1].(*ast.CallExpr)
	if !ok {
		return false
	}
	obj := v.called(outer)
	if obj == nil {
		return false
	}
	switch fullName(obj) {
	case "slices.Sorted":
		return iterator != "maps.All"
	case "slices.SortedFunc":
		return iterator == "maps.Keys"
	}
	return false
}

func TestPurity(t *testing.T) {
	pkgs := deterministicPackages(t)
	if len(pkgs) == 0 {
		t.Fatal("no deterministic package found")
	}
	for _, p := range pkgs {
		report(t, checkPurity(p))
	}
}

// An exception that nothing needs any more would hide the next breach.
func TestImportExceptionsAreNeeded(t *testing.T) {
	used := map[string]bool{}
	known := map[string]bool{}
	for _, s := range sources(t) {
		known[s.dir] = true
		for _, p := range s.imports() {
			if !s.test {
				used[s.dir+" "+p] = true
			}
		}
	}
	for _, e := range importExceptions {
		if strings.TrimSpace(e.why) == "" {
			t.Errorf("%s imports %s: listed without a reason", e.dir, e.path)
		}
		if known[e.dir] && !used[e.dir+" "+e.path] {
			t.Errorf("%s no longer imports %s: take it off importExceptions", e.dir, e.path)
		}
	}
}
