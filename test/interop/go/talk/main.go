// SPDX-License-Identifier: MIT

// The talk's client in Go: talk [ADDRESS]
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"

	"interop/rpc"
)

func runClient(address string) error {
	conn, err := grpc.Dial(address, grpc.WithInsecure())
	if err != nil {
		return fmt.Errorf("failed to dial server: %w", err)
	}
	defer conn.Close()
	cache := rpc.NewCacheClient(conn)
	_, err = cache.Store(context.Background(), &rpc.StoreReq{Key: "gopher", Val: []byte("con")})
	if err != nil {
		return fmt.Errorf("failed to store: %w", err)
	}
	resp, err := cache.Get(context.Background(), &rpc.GetReq{Key: "gopher"})
	if err != nil {
		return fmt.Errorf("failed to get: %w", err)
	}
	fmt.Printf("Got cached value %s\n", resp.Val)
	stream, err := cache.Dump(context.Background(), &rpc.DumpReq{})
	if err != nil {
		return fmt.Errorf("failed to dump: %w", err)
	}
	for {
		item, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("failed to stream item: %w", err)
		}
		fmt.Printf("%s => %s\n", item.Key, item.Val)
	}
}

func main() {
	address := "localhost:5051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := runClient(address); err != nil {
		log.Fatal(err)
	}
}
