package keeper_test

import (
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner/keeper/signerpb"
)

// The generated code is that of the interface's source.
func TestGenerated(t *testing.T) {
	const source = "signer.proto"
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"signerpb"}}}
	files, err := compiler.Compile(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	want := protodesc.ToFileDescriptorProto(files[0])
	want.SourceCodeInfo = nil
	if have := protodesc.ToFileDescriptorProto(signerpb.File_signer_proto); !proto.Equal(have, want) {
		t.Errorf("the generated code differs from %s: run make generate-proto", source)
	}
}
