package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// writes refuses changes of package variables by code that runs after the
// program's start: such a variable is state that no journal holds.
func (v *purity) writes(n ast.Node) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, left := range n.Lhs {
				v.written(left, "assigned")
			}
		}
	case *ast.IncDecStmt:
		v.written(n.X, "counted")
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			for _, left := range []ast.Expr{n.Key, n.Value} {
				if left != nil {
					v.written(left, "assigned")
				}
			}
		}
	case *ast.CallExpr:
		v.writingCall(n)
	}
}

// writingCall knows the calls that change an argument or their receiver.
func (v *purity) writingCall(call *ast.CallExpr) {
	obj := v.called(call)
	if b, ok := obj.(*types.Builtin); ok {
		switch b.Name() {
		case "delete", "clear", "copy":
			if len(call.Args) > 0 {
				v.written(call.Args[0], "changed by "+b.Name())
			}
		}
		return
	}
	fn, ok := obj.(*types.Func)
	if !ok {
		return
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return
	}
	recv := fn.Signature().Recv()
	if recv == nil {
		switch {
		case inPlace[fullName(fn)] && len(call.Args) > 0:
			v.written(call.Args[0], "changed by "+fullName(fn))
		}
		return
	}
	// Methods of a big number that give the number back write into it.
	if name := fullName(fn); strings.HasPrefix(name, "math/big.Int.") || strings.HasPrefix(name, "github.com/holiman/uint256.Int.") {
		res := fn.Signature().Results()
		if res.Len() > 0 && types.Identical(res.At(0).Type(), recv.Type()) {
			v.written(sel.X, "changed by "+fn.Name())
		}
	}
}

// inPlace are functions that change their first argument.
var inPlace = map[string]bool{
	"slices.Sort": true, "slices.SortFunc": true, "slices.SortStableFunc": true, "slices.Reverse": true,
	"sort.Slice": true, "sort.SliceStable": true, "sort.Sort": true, "sort.Stable": true, "sort.Strings": true, "sort.Ints": true,
	"maps.Copy": true, "maps.Insert": true, "maps.DeleteFunc": true,
}

// written refuses an expression that is a package variable or part of one.
func (v *purity) written(e ast.Expr, how string) {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.UnaryExpr:
			e = x.X
		case *ast.SelectorExpr:
			if v.packageVariable(x.Sel) {
				v.add(x.Pos(), "global state", "package variable %s is %s after the program's start", x.Sel.Name, how)
				return
			}
			e = x.X
		case *ast.Ident:
			if v.packageVariable(x) {
				v.add(x.Pos(), "global state", "package variable %s is %s after the program's start", x.Name, how)
			}
			return
		default:
			return
		}
	}
}

func (v *purity) packageVariable(id *ast.Ident) bool {
	obj, ok := v.pkg.info.Uses[id].(*types.Var)
	return ok && !obj.IsField() && obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope()
}

// printed refuses arguments whose text depends on an address or a map. It
// looks at every function that takes a format or a list of any values.
func (v *purity) printed(call *ast.CallExpr) {
	sig, ok := v.pkg.info.TypeOf(call.Fun).(*types.Signature)
	if !ok || !sig.Variadic() || call.Ellipsis.IsValid() {
		return
	}
	fixed := sig.Params().Len() - 1
	list, ok := sig.Params().At(fixed).Type().(*types.Slice)
	if !ok {
		return
	}
	if any, ok := list.Elem().Underlying().(*types.Interface); !ok || any.NumMethods() > 0 {
		return
	}
	for i, arg := range call.Args {
		if i < fixed {
			if tv := v.pkg.info.Types[arg]; tv.Value != nil && strings.Contains(tv.Value.String(), "%p") {
				v.add(arg.Pos(), "printing", "%%p prints an address, which differs from run to run")
			}
			continue
		}
		if what := unstable(v.pkg.info.TypeOf(arg), 0, map[types.Type]bool{}); what != "" {
			v.add(arg.Pos(), "printing", "the text of %s holds %s", types.ExprString(arg), what)
		}
	}
}

// unstable says what in a printed value differs from run to run, "" if
// nothing does. Values that print themselves are trusted; a pointer is
// followed only where fmt follows it.
func unstable(t types.Type, depth int, seen map[types.Type]bool) string {
	if t == nil || seen[t] || printsItself(t) {
		return ""
	}
	seen[t] = true
	switch u := t.Underlying().(type) {
	case *types.Map:
		return "a map; print its sorted keys, or its length"
	case *types.Chan, *types.Signature:
		return "an address"
	case *types.Basic:
		if u.Kind() == types.UnsafePointer || u.Kind() == types.Uintptr {
			return "an address"
		}
	case *types.Pointer:
		if depth > 0 {
			return "an address behind a pointer"
		}
		switch u.Elem().Underlying().(type) {
		case *types.Struct, *types.Array, *types.Slice, *types.Map:
			return unstable(u.Elem(), depth+1, seen)
		}
		return "an address"
	case *types.Slice:
		return unstable(u.Elem(), depth+1, seen)
	case *types.Array:
		return unstable(u.Elem(), depth+1, seen)
	case *types.Struct:
		for i := range u.NumFields() {
			if what := unstable(u.Field(i).Type(), depth+1, seen); what != "" {
				return what
			}
		}
	}
	return ""
}

// printsItself is true for errors and for types that say their own text.
func printsItself(t types.Type) bool {
	set := types.NewMethodSet(t)
	for _, name := range []string{"Error", "String", "Format"} {
		if set.Lookup(nil, name) != nil {
			return true
		}
	}
	return false
}
