// SPDX-License-Identifier: MIT

// Go's own gRPC as a server of rpc.Cache and rpc.Accounts; python/server.py is its twin and tells what is unusual.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"interop/rpc"
)

type accounts map[string]int64

func (a accounts) String() string { return "" }

func (a accounts) Set(text string) error {
	token, limit, _ := strings.Cut(text, "=")
	n, err := strconv.ParseInt(limit, 10, 64)
	a[token] = n
	return err
}

type cache struct {
	rpc.UnimplementedCacheServer
	mu       sync.Mutex
	values   map[string][]byte
	owners   map[string]string
	accounts accounts
	token    string
	dumps    int
}

func extras() (metadata.MD, metadata.MD) {
	raw := make([]byte, 256)
	for i := range raw {
		raw[i] = byte(i)
	}
	return metadata.Pairs("x-served-by", "go", "x-raw-bin", string(raw)),
		metadata.Pairs("x-trailer", "one", "x-trailer", "two", "x-last-bin", "\x00\xff,")
}

func decorate(ctx context.Context) {
	header, trailer := extras()
	grpc.SetHeader(ctx, header)
	grpc.SetTrailer(ctx, trailer)
}

func linger(ctx context.Context, key string) error {
	if strings.HasPrefix(key, "slow") {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-time.After(10 * time.Second):
		}
	}
	return nil
}

func (c *cache) Store(ctx context.Context, req *rpc.StoreReq) (*rpc.StoreResp, error) {
	decorate(ctx)
	if err := linger(ctx, req.Key); err != nil {
		return nil, err
	}
	if len(req.Key) < 1 || len(req.Key) > 1024 {
		return nil, status.Error(codes.InvalidArgument, "a key has 1 to 1024 bytes")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	token := req.AccountToken
	c.token = token
	_, exists := c.values[req.Key]
	if token != "" {
		limit, ok := c.accounts[token]
		if !ok {
			return nil, status.Errorf(codes.NotFound, "Account not found %s", token)
		}
		count := int64(0)
		for _, owner := range c.owners {
			if owner == token {
				count++
			}
		}
		if !exists && count >= limit {
			return nil, status.Errorf(codes.FailedPrecondition, "Account %s exceeds max key limit %d", token, limit)
		}
	}
	c.values[req.Key] = req.Val
	if !exists {
		c.owners[req.Key] = token
	}
	return &rpc.StoreResp{}, nil
}

func (c *cache) Get(ctx context.Context, req *rpc.GetReq) (*rpc.GetResp, error) {
	decorate(ctx)
	if err := linger(ctx, req.Key); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch req.Key {
	case "peek:user-agent":
		md, _ := metadata.FromIncomingContext(ctx)
		return &rpc.GetResp{Val: []byte(strings.Join(md.Get("user-agent"), ","))}, nil
	case "peek:deadline":
		if deadline, ok := ctx.Deadline(); ok {
			return &rpc.GetResp{Val: fmt.Appendf(nil, "%.3f", time.Until(deadline).Seconds())}, nil
		}
		return &rpc.GetResp{Val: []byte("none")}, nil
	case "peek:token":
		return &rpc.GetResp{Val: []byte(c.token)}, nil
	case "peek:dumps":
		return &rpc.GetResp{Val: []byte(strconv.Itoa(c.dumps))}, nil
	}
	val, ok := c.values[req.Key]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Key not found %s", req.Key)
	}
	return &rpc.GetResp{Val: val}, nil
}

func (c *cache) Dump(_ *rpc.DumpReq, stream rpc.Cache_DumpServer) error {
	header, trailer := extras()
	stream.SetHeader(header)
	stream.SetTrailer(trailer)
	c.mu.Lock()
	c.dumps++
	items := make([]*rpc.DumpItem, 0, len(c.values))
	for key, val := range c.values {
		items = append(items, &rpc.DumpItem{Key: key, Val: val})
	}
	_, poisoned := c.values["poison"]
	_, sticky := c.values["molasses"]
	c.mu.Unlock()
	sort.Slice(items, func(i, j int) bool { return items[i].Key < items[j].Key })
	for _, item := range items {
		if err := stream.Send(item); err != nil {
			return err
		}
		if sticky {
			if err := linger(stream.Context(), "slow"); err != nil {
				return err
			}
		}
	}
	if poisoned {
		return status.Error(codes.DataLoss, "the rest was eaten")
	}
	return nil
}

type accountsServer struct {
	rpc.UnimplementedAccountsServer
	accounts accounts
}

func (a *accountsServer) GetByToken(ctx context.Context, req *rpc.GetByTokenReq) (*rpc.GetByTokenResp, error) {
	decorate(ctx)
	if err := linger(ctx, req.Token); err != nil {
		return nil, err
	}
	limit, ok := a.accounts[req.Token]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Account not found %s", req.Token)
	}
	return &rpc.GetByTokenResp{Account: &rpc.Account{MaxCacheKeys: limit}}, nil
}

func main() {
	known := accounts{"inconshreveable": 100, "tiny": 2}
	listen := flag.String("listen", "localhost:5051", "")
	tlsCert := flag.String("tls-cert", "", "")
	tlsKey := flag.String("tls-key", "", "")
	tlsCA := flag.String("tls-ca", "", "")
	flag.Var(known, "account", "TOKEN=MAX")
	flag.Parse()

	var options []grpc.ServerOption
	if *tlsCert != "" {
		pair, err := tls.LoadX509KeyPair(*tlsCert, *tlsKey)
		if err != nil {
			log.Fatal(err)
		}
		config := &tls.Config{Certificates: []tls.Certificate{pair}}
		if *tlsCA != "" {
			pem, err := os.ReadFile(*tlsCA)
			if err != nil {
				log.Fatal(err)
			}
			config.ClientCAs = x509.NewCertPool()
			config.ClientCAs.AppendCertsFromPEM(pem)
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	rpc.RegisterCacheServer(server, &cache{values: map[string][]byte{}, owners: map[string]string{}, accounts: known})
	rpc.RegisterAccountsServer(server, &accountsServer{accounts: known})
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
