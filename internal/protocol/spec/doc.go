// Package spec reads and writes chain specifications: the rules all members of
// one network share.
//
// # Usage
//
//	chain, unknown, err := spec.Parse(data)   // a legacy chain.json
//	for _, key := range unknown { ... }       // warn, do not refuse
//	chain = spec.Dev()                        // a network of one for development
//	data = chain.Encode()
//
// # Guarantees
//
//   - A specification that Parse accepts cannot make a rule divide by zero, and
//     all its keys are valid points. What is refused is refused by key and value.
//   - Parse(c.Encode()) equals c for every c that Parse or Dev returned.
//   - A missing key takes the value of legacy's development preset, a missing
//     member of retargetParams takes zero, as in legacy. The three lists of
//     members have no such default: a node that silently falls back to keys
//     everybody knows is worse than one that does not start.
//
// # Layout
//
// One JSON object with camelCase keys. BLS keys and addresses are hex with 0x,
// Bitcoin keys hex without. Besides legacy's keys there is "exceptions", an object
// with the heights legacy has in its code. (consensus.md C1, C16)
package spec
