// SPDX-License-Identifier: MIT

// grpc-go as a client that retries: reads cases from stdin, one JSON object a line, and answers each with a line.
// retry/ours.c and python/caller.py are its twins.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }
func (raw) Name() string                       { return "proto" }

type Case struct {
	Target, Config, Method, Case, Script string
	Count, Timeout                       int // milliseconds; 0: none
}

func unary(conn *grpc.ClientConn, ctx context.Context, method string) ([]byte, error) {
	request, reply := []byte("hi"), []byte{}
	err := conn.Invoke(ctx, method, &request, &reply, grpc.ForceCodec(raw{}))
	return reply, err
}

func many(conn *grpc.ClientConn, ctx context.Context, method string) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method, grpc.ForceCodec(raw{}))
	if err != nil {
		return err
	}
	for i := 0; i < 3; i++ {
		message := []byte("hi")
		if stream.SendMsg(&message) != nil {
			break
		}
	}
	stream.CloseSend()
	reply := []byte{}
	return stream.RecvMsg(&reply)
}

func call(conn *grpc.ClientConn, c Case) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "case", c.Case, "script", c.Script)
	if c.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	if c.Method == "Many" {
		return many(conn, ctx, "/judge.Retry/Many")
	}
	_, err := unary(conn, ctx, "/judge.Retry/Call")
	return err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c Case
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			log.Fatal(err)
		}
		options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
		if c.Config != "" {
			options = append(options, grpc.WithDefaultServiceConfig(c.Config))
		}
		conn, err := grpc.NewClient("passthrough:///"+c.Target, options...)
		if err != nil {
			fmt.Printf("{\"error\": %q}\n", err.Error())
			continue
		}
		codes := []int{}
		for i := 0; i < c.Count; i++ {
			codes = append(codes, int(status.Code(call(conn, c))))
		}
		ctx := metadata.AppendToOutgoingContext(context.Background(), "case", c.Case)
		report, _ := unary(conn, ctx, "/judge.Retry/Report")
		conn.Close()
		answer, _ := json.Marshal(map[string]any{"codes": codes, "previous": string(report)})
		fmt.Println(string(answer))
	}
}
