// SPDX-License-Identifier: MIT

// Go's own gRPC as a client of rpc.Cache and rpc.Accounts; python/client.py is its twin and tells what each option
// and case means.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"interop/rpc"
)

const patience = 20 * time.Second

var (
	tlsCA         = flag.String("tls-ca", "", "")
	tlsCert       = flag.String("tls-cert", "", "")
	tlsKey        = flag.String("tls-key", "", "")
	tlsServerName = flag.String("tls-server-name", "", "")
	slow          = flag.String("slow", "", "")
	quotaAddress  = flag.String("quota", "", "")
	accountsAt    = flag.String("accounts", "", "")
	only          = flag.String("only", "", "")
)

type peer struct {
	conn  *grpc.ClientConn
	cache rpc.CacheClient
	run   string
}

func connect(address string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if *tlsCA != "" {
		pem, err := os.ReadFile(*tlsCA)
		if err != nil {
			return nil, err
		}
		config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: *tlsServerName}
		config.RootCAs.AppendCertsFromPEM(pem)
		if *tlsCert != "" {
			pair, err := tls.LoadX509KeyPair(*tlsCert, *tlsKey)
			if err != nil {
				return nil, err
			}
			config.Certificates = []tls.Certificate{pair}
		}
		creds = credentials.NewTLS(config)
	}
	return grpc.NewClient(address, grpc.WithTransportCredentials(creds), grpc.WithDisableRetry())
}

func within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	time.AfterFunc(d+time.Second, cancel)
	return ctx
}

func (p *peer) key(name string) string { return name + "-" + p.run }

func (p *peer) store(ctx context.Context, name string, val []byte, options ...grpc.CallOption) error {
	_, err := p.cache.Store(ctx, &rpc.StoreReq{Key: p.key(name), Val: val}, options...)
	return err
}

func (p *peer) get(ctx context.Context, name string) ([]byte, error) {
	resp, err := p.cache.Get(ctx, &rpc.GetReq{Key: p.key(name)})
	return resp.GetVal(), err
}

// same stores a value and expects it back.
func (p *peer) same(name string, val []byte) error {
	if err := p.store(within(patience), name, val); err != nil {
		return err
	}
	got, err := p.get(within(patience), name)
	if err == nil && !bytes.Equal(got, val) {
		err = fmt.Errorf("another value came back, %d bytes of %d", len(got), len(val))
	}
	return err
}

func (p *peer) works() error { return p.same("works", []byte("still")) }

func fails(code codes.Code, err error) error {
	if status.Code(err) != code {
		return fmt.Errorf("ended with %v, expected %v", err, code)
	}
	return nil
}

func first(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

func storeAndGet(p *peer) error {
	return first(p.same("gopher", []byte("con")), p.same("gopher", []byte("2014")))
}

func missing(p *peer, key string) error {
	_, err := p.cache.Get(within(patience), &rpc.GetReq{Key: key})
	if bad := fails(codes.NotFound, err); bad != nil {
		return bad
	}
	if !strings.Contains(status.Convert(err).Message(), key) {
		return fmt.Errorf("the text lacks the key: %q", status.Convert(err).Message())
	}
	return nil
}

func missingKey(p *peer) error  { return missing(p, "no such gopher") }
func statusText(p *peer) error  { return missing(p, "schlüssel ☃ 100% %41 \"a\\b\"") }
func emptyValues(p *peer) error { return p.same("empty", nil) }

func everyByte(p *peer) error {
	val := make([]byte, 768)
	for i := range val {
		val[i] = byte(i)
	}
	return p.same("bytes", val)
}

func bigValues(p *peer) error {
	val := make([]byte, 1000000)
	rand.Read(val)
	return p.same("big", val)
}

func tooBig(p *peer) error {
	return first(fails(codes.ResourceExhausted, p.store(within(patience), "huge", make([]byte, 5<<20))), p.works())
}

func badKeys(p *peer) error {
	store := func(key string) error {
		_, err := p.cache.Store(within(patience), &rpc.StoreReq{Key: key, Val: []byte("x")})
		return err
	}
	return first(fails(codes.InvalidArgument, store("")),
		fails(codes.InvalidArgument, store(strings.Repeat("k", 1025))), store(strings.Repeat("k", 1024)))
}

// dump calls each for every item until io.EOF.
func (p *peer) dump(ctx context.Context, each func(*rpc.DumpItem)) error {
	stream, err := p.cache.Dump(ctx, &rpc.DumpReq{})
	if err != nil {
		return err
	}
	for {
		item, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		each(item)
	}
}

func dumpToTheEnd(p *peer) error {
	for i := 0; i < 300; i++ {
		if err := p.store(within(patience), fmt.Sprintf("item-%d", i), bytes.Repeat([]byte{'v'}, i)); err != nil {
			return err
		}
	}
	seen := map[string]int{}
	twice := 0
	err := p.dump(within(patience), func(item *rpc.DumpItem) {
		if _, ok := seen[item.Key]; ok {
			twice++
		}
		seen[item.Key] = len(item.Val)
	})
	if err != nil {
		return err
	}
	if twice > 0 {
		return fmt.Errorf("%d keys came twice", twice)
	}
	for i := 0; i < 300; i++ {
		if size, ok := seen[p.key(fmt.Sprintf("item-%d", i))]; !ok || size != i {
			return fmt.Errorf("item %d is missing or has another value", i)
		}
	}
	return nil
}

func dumpLarge(p *peer) error {
	for i := 0; i < 100; i++ {
		if err := p.store(within(patience), fmt.Sprintf("wide-%d", i), make([]byte, 100000)); err != nil {
			return err
		}
	}
	count, all := 0, 0
	err := p.dump(within(patience), func(item *rpc.DumpItem) {
		if all++; all%20 == 0 {
			time.Sleep(10 * time.Millisecond) // a slow reader
		}
		if strings.HasPrefix(item.Key, "wide-") && strings.HasSuffix(item.Key, p.run) && len(item.Val) == 100000 {
			count++
		}
	})
	if err == nil && count != 100 {
		err = fmt.Errorf("%d of 100 items came", count)
	}
	return err
}

func dumpCancelled(p *peer) error {
	for i := 0; i < 30; i++ {
		if err := p.store(within(patience), fmt.Sprintf("some-%d", i), make([]byte, 100000)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(within(patience))
	err := p.dump(ctx, func(*rpc.DumpItem) { cancel() })
	return first(fails(codes.Canceled, err), p.works())
}

func deadline(p *peer) error {
	conn, err := connect(*slow)
	if err != nil {
		return err
	}
	defer conn.Close()
	cache := rpc.NewCacheClient(conn)
	began := time.Now()
	_, err = cache.Store(within(300*time.Millisecond), &rpc.StoreReq{Key: "slow", Val: []byte("x"), AccountToken: "inconshreveable"})
	took := time.Since(began)
	if bad := fails(codes.DeadlineExceeded, err); bad != nil {
		return bad
	}
	if took < 250*time.Millisecond || took > 1500*time.Millisecond {
		return fmt.Errorf("ended after %v", took)
	}
	_, err = cache.Get(within(patience), &rpc.GetReq{Key: "not there"})
	return fails(codes.NotFound, err)
}

func deadlinePassed(p *peer) error {
	_, err := p.get(within(0), "gopher")
	return first(fails(codes.DeadlineExceeded, err), p.works())
}

func withMetadata(p *peer) error {
	raw := make([]byte, 256)
	for i := range raw {
		raw[i] = byte(i)
	}
	ctx := metadata.AppendToOutgoingContext(within(patience), "x-plain", "one", "x-plain", "two",
		"x-long", strings.Repeat("l", 4000), "x-raw-bin", string(raw), "x-empty", "")
	if err := p.store(ctx, "meta", []byte("data")); err != nil {
		return err
	}
	_, err := p.get(ctx, "meta")
	return err
}

func hugeMetadata(p *peer) error {
	ctx := metadata.AppendToOutgoingContext(within(patience), "x-huge", strings.Repeat("h", 100000))
	_, err := p.get(ctx, "gopher")
	switch status.Code(err) {
	case codes.OK, codes.ResourceExhausted, codes.Internal, codes.Unavailable, codes.NotFound, codes.Canceled:
		return p.works()
	}
	return err
}

func unknownMethods(p *peer) error {
	for _, path := range []string{"/rpc.Cache/Nope", "/rpc.Nope/Get"} {
		err := p.conn.Invoke(within(patience), path, &emptypb.Empty{}, &emptypb.Empty{})
		if bad := fails(codes.Unimplemented, err); bad != nil {
			return bad
		}
	}
	return nil
}

func compressed(p *peer) error {
	err := p.store(within(patience), "gzip", make([]byte, 10000), grpc.UseCompressor(gzip.Name))
	if err != nil && status.Code(err) != codes.Unimplemented {
		return err
	}
	return p.works()
}

func manyCalls(p *peer) error {
	var wait sync.WaitGroup
	errors := make([]error, 500)
	for i := range errors {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errors[i] = p.same(fmt.Sprintf("many-%d", i), []byte(fmt.Sprint(i)))
		}()
	}
	wait.Wait()
	return first(errors...)
}

func manyDumps(p *peer) error {
	var wait sync.WaitGroup
	errors, counts := make([]error, 10), make([]int, 10)
	for i := range errors {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errors[i] = p.dump(within(patience), func(*rpc.DumpItem) { counts[i]++ })
		}()
	}
	wait.Wait()
	for _, count := range counts {
		if count != counts[0] {
			return fmt.Errorf("counts %v, errors %v", counts, errors)
		}
	}
	return first(errors...)
}

func quota(p *peer) error {
	conn, err := connect(*quotaAddress)
	if err != nil {
		return err
	}
	defer conn.Close()
	cache := rpc.NewCacheClient(conn)
	store := func(name string) error {
		_, err := cache.Store(within(patience), &rpc.StoreReq{Key: p.key(name), Val: []byte("x"), AccountToken: "tiny"})
		return err
	}
	if err := first(store("q1"), store("q2")); err != nil {
		return err
	}
	err = store("q3")
	if bad := fails(codes.FailedPrecondition, err); bad != nil {
		return bad
	}
	if text := status.Convert(err).Message(); text != "Account tiny exceeds max key limit 2" {
		return fmt.Errorf("text %q", text)
	}
	_, err = cache.Get(within(patience), &rpc.GetReq{Key: p.key("q3")})
	return first(fails(codes.NotFound, err), store("q1"))
}

func accounts(p *peer) error {
	conn, err := connect(*accountsAt)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := rpc.NewAccountsClient(conn)
	answer, err := client.GetByToken(within(patience), &rpc.GetByTokenReq{Token: "inconshreveable"})
	if err != nil {
		return err
	}
	if answer.GetAccount().GetMaxCacheKeys() != 100 {
		return fmt.Errorf("max_cache_keys %d", answer.GetAccount().GetMaxCacheKeys())
	}
	_, err = client.GetByToken(within(patience), &rpc.GetByTokenReq{Token: "stranger"})
	return fails(codes.NotFound, err)
}

func main() {
	address := os.Args[1]
	flag.CommandLine.Parse(os.Args[2:])
	conn, err := connect(address)
	if err != nil {
		fmt.Println("FAILED connect:", err)
		os.Exit(1)
	}
	p := &peer{conn, rpc.NewCacheClient(conn), fmt.Sprintf("%x", time.Now().UnixNano()&0xffffffff)}
	cases := []struct {
		name string
		run  func(*peer) error
		off  bool
	}{
		{"store_and_get", storeAndGet, false},
		{"a_missing_key_is_not_found", missingKey, false},
		{"text_of_a_status_survives", statusText, false},
		{"empty_values", emptyValues, false},
		{"every_byte", everyByte, false},
		{"big_values", bigValues, false},
		{"too_big_a_message", tooBig, false},
		{"bad_keys", badKeys, false},
		{"dump_to_the_end", dumpToTheEnd, false},
		{"dump_larger_than_the_windows", dumpLarge, false},
		{"dump_cancelled", dumpCancelled, false},
		{"a_deadline", deadline, *slow == ""},
		{"a_deadline_that_has_passed", deadlinePassed, false},
		{"metadata", withMetadata, false},
		{"far_too_much_metadata", hugeMetadata, false},
		{"unknown_methods", unknownMethods, false},
		{"a_compressed_request", compressed, false},
		{"many_calls_at_once", manyCalls, false},
		{"many_dumps_at_once", manyDumps, false},
		{"quota", quota, *quotaAddress == ""},
		{"accounts", accounts, *accountsAt == ""},
	}
	code := 0
	for _, c := range cases {
		if c.off || *only != "" && !strings.Contains(","+*only+",", ","+c.name+",") {
			continue
		}
		if err := c.run(p); err != nil {
			fmt.Printf("FAILED %s: %v\n", c.name, err)
			code = 1
		} else {
			fmt.Printf("ok %s\n", c.name)
		}
	}
	os.Exit(code)
}
