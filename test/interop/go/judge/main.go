// SPDX-License-Identifier: MIT

// A server that fails as it is told: grpc-go for scripts of statuses and pushback, a bare HTTP/2 server for what a
// gRPC server never does by itself (refuse streams, go away). retry/run.py tells how scripts look; python/judge.py is
// the first one's twin.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What is known of each case: how many attempts have come in, and what each said of those before it.
type records struct {
	mu    sync.Mutex
	cases map[string][]string
}

// The step of the script that is this attempt's; the last one goes on for ever.
func (r *records) next(name, script, previous string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if previous == "" {
		previous = "-"
	}
	steps := strings.Split(script, ";")
	n := len(r.cases[name])
	r.cases[name] = append(r.cases[name], previous)
	if n >= len(steps) {
		n = len(steps) - 1
	}
	return steps[n]
}

func (r *records) report(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.cases[name], " ")
}

// "14", "14:100" (with pushback), "14h" (behind headers, so that the call is committed).
func parse(step string) (code int, pushback string, headers bool) {
	step, pushback, _ = strings.Cut(step, ":")
	headers = strings.HasSuffix(step, "h")
	code, err := strconv.Atoi(strings.TrimSuffix(step, "h"))
	if err != nil {
		log.Fatalf("no step: %q", step)
	}
	return code, pushback, headers
}

// ---- grpc-go ----

type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }
func (raw) Name() string                       { return "proto" }

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (r *records) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	md, _ := metadata.FromIncomingContext(stream.Context())
	if strings.HasSuffix(method, "/Report") {
		text := []byte(r.report(first(md, "case")))
		return stream.SendMsg(&text)
	}
	code, pushback, headers := parse(r.next(first(md, "case"), first(md, "script"), first(md, "grpc-previous-rpc-attempts")))
	var got []byte
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		got = append(got, message...)
	}
	if headers {
		stream.SendHeader(nil)
	}
	if pushback != "" {
		stream.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", pushback))
	}
	if code != 0 {
		return status.Error(codes.Code(code), "as told")
	}
	return stream.SendMsg(&got)
}

// ---- Bare HTTP/2 ----

func (r *records) connection(conn net.Conn) {
	defer conn.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	answers := map[uint32]string{} // what a stream is answered once its request is whole
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				framer.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			if step := r.begin(framer, f); step != "" {
				answers[f.StreamID] = step
			}
			if f.StreamEnded() {
				r.end(framer, f.StreamID, answers)
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				r.end(framer, f.StreamID, answers)
			}
		}
	}
}

// The step, or "" when the stream was refused.
func (r *records) begin(framer *http2.Framer, f *http2.MetaHeadersFrame) string {
	fields := map[string]string{}
	for _, field := range f.Fields {
		fields[field.Name] = field.Value
	}
	if strings.HasSuffix(fields[":path"], "/Report") {
		return "report " + fields["case"]
	}
	step := r.next(fields["case"], fields["script"], fields["grpc-previous-rpc-attempts"])
	switch step {
	case "R":
		framer.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
	case "G":
		framer.WriteGoAway(f.StreamID-1, http2.ErrCodeNo, nil)
	default:
		return step
	}
	return ""
}

func (r *records) end(framer *http2.Framer, id uint32, answers map[uint32]string) {
	step, there := answers[id]
	if !there {
		return
	}
	delete(answers, id)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	write := func(end bool, fields ...string) {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
	}
	text, report := strings.CutPrefix(step, "report ")
	if report {
		text = r.report(text)
	}
	if report || step == "0" {
		if !report {
			text = ""
		}
		write(false, ":status", "200", "content-type", "application/grpc")
		framer.WriteData(id, false, append([]byte{0, 0, 0, byte(len(text) >> 8), byte(len(text))}, text...))
		write(true, "grpc-status", "0")
		return
	}
	code, pushback, _ := parse(step)
	fields := []string{":status", "200", "content-type", "application/grpc", "grpc-status", strconv.Itoa(code), "grpc-message", "as told"}
	if pushback != "" {
		fields = append(fields, "grpc-retry-pushback-ms", pushback)
	}
	write(true, fields...)
}

func main() {
	bare := flag.Bool("bare", false, "the bare HTTP/2 server")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	r := &records{cases: map[string][]string{}}
	fmt.Printf("listening on %s\n", listener.Addr())
	if *bare {
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go r.connection(conn)
			}
		}()
	} else {
		server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(r.handle))
		go server.Serve(listener)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	<-ctx.Done()
}
