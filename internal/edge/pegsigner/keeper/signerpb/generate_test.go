package signerpb_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const source = "signer.proto"

// plugins are the generators, at the versions of go.mod and of the line below.
var plugins = []string{
	"google.golang.org/protobuf/cmd/protoc-gen-go",
	"google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
}

var update = flag.Bool("update", false, "write the generated files anew")

func compiled(t *testing.T) *descriptorpb.FileDescriptorProto {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), source)
	if err != nil {
		t.Fatal(err)
	}
	return protodesc.ToFileDescriptorProto(files[0])
}

// With -update the code is generated. That it is that of its source is a test of package
// keeper: this one must run whatever the code is.
func TestSource(t *testing.T) {
	file := compiled(t)
	if *update {
		for _, plugin := range plugins {
			generate(t, plugin, file)
		}
	}
}

func generate(t *testing.T, plugin string, file *descriptorpb.FileDescriptorProto) {
	t.Helper()
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{source}, Parameter: proto.String("paths=source_relative"),
		ProtoFile: []*descriptorpb.FileDescriptorProto{file},
	})
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command("go", "run", plugin)
	run.Stdin, run.Stderr = bytes.NewReader(request), os.Stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%s: %v", plugin, err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &response); err != nil {
		t.Fatal(err)
	}
	if response.Error != nil {
		t.Fatalf("%s: %s", plugin, response.GetError())
	}
	for _, f := range response.File {
		if err := os.WriteFile(f.GetName(), []byte(f.GetContent()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
