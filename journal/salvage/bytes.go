package salvage

import "encoding/binary"

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
