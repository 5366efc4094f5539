// SPDX-License-Identifier: MIT

// Go's own gRPC in the fights of keepalive/run.py; keepalive/peer.c is its twin and tells what each option means.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// raw passes messages as bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func answer(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if method == "/k.Keep/Hang" {
		fmt.Println("came: a call that hangs")
		<-stream.Context().Done()
		fmt.Println("gone:", stream.Context().Err())
		return stream.Context().Err()
	}
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	return stream.SendMsg(&message)
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func main() {
	options := flag.NewFlagSet("keepalive", flag.ExitOnError)
	every := options.Int("time", 0, "")
	timeout := options.Int("timeout", 20000, "")
	minInterval := options.Int("min-interval", 300000, "")
	if os.Args[1] == "server" {
		options.Parse(os.Args[2:])
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(answer),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: ms(*every), Timeout: ms(*timeout)}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: ms(*minInterval)}))
		fmt.Println("listening on", listener.Addr())
		server.Serve(listener)
		return
	}
	options.Parse(os.Args[3:])
	conn, err := grpc.NewClient(os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: ms(*every), Timeout: ms(*timeout)}))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	for _, name := range []string{"Hang", "Echo"} {
		ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
		request, response := []byte("hello"), []byte(nil)
		end := status.Convert(conn.Invoke(ctx, "/k.Keep/"+name, &request, &response, grpc.ForceCodec(raw{})))
		cancel()
		fmt.Printf("%s: %s: %s\n", map[string]string{"Hang": "hang", "Echo": "echo"}[name], end.Code(), end.Message())
	}
}
