// Oracle answers questions about transparency logs with Go's own sumdb/tlog and sumdb/note.
//
// It reads one JSON question a line and writes one JSON answer a line; an error is an answer, too.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Ask    string
	Leaves [][]byte
	Index  int64
	Old    int64
	Size   int64
	Leaf   []byte
	Proof  [][]byte
	Root   []byte
	Root1  []byte
	Text   string
	Note   string
	Key    string
	Keys   []string
}

type answer struct {
	Error    string
	Root     []byte
	Proof    [][]byte
	Note     string
	Text     string
	Verified []string
	Unknown  int
}

var hashes []tlog.Hash // those of the log that was given last
var count int64

func reader(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(hashes)) {
			return nil, fmt.Errorf("no hash %d", at)
		}
		found[i] = hashes[at]
	}
	return found, nil
}

func hash(data []byte) (tlog.Hash, error) {
	var h tlog.Hash
	if len(data) != len(h) {
		return h, fmt.Errorf("a hash of %d bytes", len(data))
	}
	copy(h[:], data)
	return h, nil
}

func hashList(data [][]byte) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(data))
	for i, one := range data {
		h, err := hash(one)
		if err != nil {
			return nil, err
		}
		found[i] = h
	}
	return found, nil
}

func bytesOf(list []tlog.Hash) [][]byte {
	found := make([][]byte, len(list))
	for i := range list {
		found[i] = list[i][:]
	}
	return found
}

func reply(q question) (a answer, err error) {
	read := tlog.HashReaderFunc(reader)
	switch q.Ask {
	case "log":
		hashes, count = nil, 0
		for _, leaf := range q.Leaves {
			more, err := tlog.StoredHashes(count, leaf, read)
			if err != nil {
				return a, err
			}
			hashes, count = append(hashes, more...), count+1
		}
	case "root":
		root, err := tlog.TreeHash(q.Size, read)
		a.Root = root[:]
		return a, err
	case "include":
		proof, err := tlog.ProveRecord(q.Size, q.Index, read)
		a.Proof = bytesOf(proof)
		return a, err
	case "extend":
		proof, err := tlog.ProveTree(q.Size, q.Old, read)
		a.Proof = bytesOf(proof)
		return a, err
	case "check include", "check extend":
		proof, err := hashList(q.Proof)
		if err != nil {
			return a, err
		}
		root, err := hash(q.Root)
		if err != nil {
			return a, err
		}
		if q.Ask == "check include" {
			leaf, err := hash(q.Leaf)
			if err != nil {
				return a, err
			}
			return a, tlog.CheckRecord(proof, q.Size, root, q.Index, leaf)
		}
		old, err := hash(q.Root1)
		if err != nil {
			return a, err
		}
		return a, tlog.CheckTree(proof, q.Size, root, q.Old, old)
	case "sign":
		signer, err := note.NewSigner(q.Key)
		if err != nil {
			return a, err
		}
		signed, err := note.Sign(&note.Note{Text: q.Text}, signer)
		a.Note = string(signed)
		return a, err
	case "open":
		var keys []note.Verifier
		for _, text := range q.Keys {
			key, err := note.NewVerifier(text)
			if err != nil {
				return a, err
			}
			keys = append(keys, key)
		}
		opened, err := note.Open([]byte(q.Note), note.VerifierList(keys...))
		if err != nil {
			return a, err
		}
		a.Text, a.Unknown = opened.Text, len(opened.UnverifiedSigs)
		for _, one := range opened.Sigs {
			a.Verified = append(a.Verified, one.Name)
		}
	default:
		return a, fmt.Errorf("not a question: %q", q.Ask)
	}
	return a, nil
}

func safely(q question) (a answer) {
	defer func() {
		if trouble := recover(); trouble != nil { // tlog panics at sizes that make no sense
			a = answer{Error: fmt.Sprint(trouble)}
		}
	}()
	a, err := reply(q)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return a
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			out.Encode(answer{Error: "question: " + err.Error()})
			continue
		}
		out.Encode(safely(q))
	}
}
