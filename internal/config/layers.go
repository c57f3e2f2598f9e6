package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

const (
	envPrefix = "ALYS_"
	envTests  = "ALYS_TEST_"
	fileEnv   = "ALYS_CONFIG"

	// maxFile bounds the file; all settings with comments take a few KiB.
	maxFile = 1 << 20
)

// variable is one ALYS_* variable.
type variable struct {
	text   string
	origin Origin
}

// environ returns our variables and legacy's by name and reports unknown ones of ours. Of a variable
// that occurs twice the last counts, as in os/exec.
func (l *loader) environ(pairs []string) map[string]variable {
	known, legacy := []string{fileEnv}, []string(nil)
	for i := range settings {
		known = append(known, settings[i].Env())
		if settings[i].Legacy != "" {
			legacy = append(legacy, settings[i].Legacy)
		}
	}
	vars, unknown := make(map[string]variable), make(map[string]bool)
	for _, pair := range pairs {
		name, text, _ := strings.Cut(pair, "=")
		switch {
		case contains(legacy, name):
			vars[name] = variable{text, Origin{Layer: "env", Name: name}}
		case !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, envTests):
		case contains(known, name):
			vars[name] = variable{text, Origin{Layer: "env", Name: name}}
		case !unknown[name]:
			unknown[name] = true
			l.fail("there is no setting for the variable %s%s", printable(clip(name)), Suggest(known, name))
		}
	}
	return vars
}

// flags applies the flags given.
func (l *loader) flags(given map[string]string) {
	known := []string{FileFlag}
	for i := range settings {
		s := &settings[i]
		if s.Flag() == "" {
			continue
		}
		known = append(known, s.Flag())
		if text, ok := given[s.Flag()]; ok {
			l.set(s, text, Origin{Layer: "flag", Name: "--" + s.Flag()})
		}
	}
	var unknown []string
	for name := range given {
		if !contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	for _, name := range unknown {
		l.fail("there is no setting for the flag --%s%s", printable(clip(name)), Suggest(known, name))
	}
}

// file applies the TOML file at path, which from named.
func (l *loader) file(path, from string) {
	data, err := readBounded(path, maxFile)
	if err != nil {
		l.fail("file %s, named by %s: %v", printable(path), from, err)
		return
	}
	l.document(path, data)
}

// document applies a TOML document that was read from path.
func (l *loader) document(path string, data []byte) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		origin := Origin{Layer: "file", Name: path}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			origin.Line, _ = at.Position()
		}
		l.fail("%s: not TOML: %s", origin, strings.TrimPrefix(err.Error(), "toml: "))
		return
	}
	given := make(map[string]any)
	flatten("", tree, given)
	known, lines := make([]string, 0, len(settings)), keyLines(data)
	for i := range settings {
		s := &settings[i]
		known = append(known, s.Key)
		if value, ok := given[s.Key]; ok {
			l.setTOML(s, value, Origin{Layer: "file", Name: path, Line: lineOf(lines, s.Key)})
			delete(given, s.Key)
		}
	}
	unknown := make([]string, 0, len(given))
	for key := range given {
		unknown = append(unknown, key)
	}
	sort.Slice(unknown, func(i, j int) bool {
		a, b := lineOf(lines, unknown[i]), lineOf(lines, unknown[j])
		return a < b || a == b && unknown[i] < unknown[j]
	})
	for _, key := range unknown {
		l.fail("%s: there is no setting %s%s", Origin{Layer: "file", Name: path, Line: lineOf(lines, key)},
			printable(clip(key)), Suggest(known, key))
	}
}

// setTOML applies a decoded value, whose type has to fit: a boolean or number in
// quotes is a mistake that other tools would read differently.
func (l *loader) setTOML(s *Setting, value any, from Origin) {
	field := s.field(l.config)
	switch v := value.(type) {
	case string:
		if !bare(field) {
			l.set(s, v, from)
			return
		}
		hint, _ := parse(field, v)
		l.refuse(s, v, from, hint+" without quotes")
	case bool:
		l.set(s, strconv.FormatBool(v), from)
	case int64:
		l.setNumber(s, v, from)
	default:
		hint := "a string"
		if bare(field) {
			hint, _ = parse(field, "")
		}
		l.config.origins[s.Key] = from
		l.refuse(s, "another type", from, hint)
	}
}

// setNumber applies a TOML integer; strings that merely look like one need quotes.
func (l *loader) setNumber(s *Setting, v int64, from Origin) {
	text := strconv.FormatInt(v, 10)
	switch s.field(l.config).(type) {
	case *string, *Secret:
		l.refuse(s, text, from, "a string in quotes")
	case *bool:
		l.refuse(s, text, from, "true or false")
	default:
		l.set(s, text, from)
	}
}

// flatten writes the leaves of a table by dotted key. Empty tables are leaves
// too, unless a setting lives below: a misspelt table must not go unnoticed.
func flatten(prefix string, table, into map[string]any) {
	for name, value := range table {
		if strings.Contains(name, ".") {
			name = strconv.Quote(name) // cannot be confused with a table
		}
		key := prefix + name
		sub, isTable := value.(map[string]any)
		switch {
		case isTable && len(sub) > 0:
			flatten(key+".", sub, into)
		case isTable && isTableName(key):
		default:
			into[key] = value
		}
	}
}

func isTableName(key string) bool {
	for i := range settings {
		if strings.HasPrefix(settings[i].Key, key+".") {
			return true
		}
	}
	return false
}

// keyLines returns the line of each key and table of a valid document. Keys
// inside inline tables are found through the key of the table.
func keyLines(data []byte) map[string]int {
	lines := make(map[string]int)
	var p unstable.Parser
	p.Reset(data)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		key, line := "", 0
		for it := e.Key(); it.Next(); {
			n := it.Node()
			if key != "" {
				key += "."
			}
			key += string(n.Data)
			if line == 0 {
				line = p.Shape(n.Raw).Start.Line
			}
		}
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			prefix = key + "."
		case unstable.KeyValue:
			key = prefix + key
		default:
			continue
		}
		if _, ok := lines[key]; !ok {
			lines[key] = line
		}
	}
	return lines
}

// lineOf returns the line of key or of the nearest table around it, 0 for none.
func lineOf(lines map[string]int, key string) int {
	for {
		if line, ok := lines[key]; ok {
			return line
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return 0
		}
		key = key[:i]
	}
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, errors.New("longer than " + Size(limit).String() + ", is it the right file?")
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

func contains(list []string, name string) bool {
	for _, known := range list {
		if known == name {
			return true
		}
	}
	return false
}
