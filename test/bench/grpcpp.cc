// SPDX-License-Identifier: MIT
// A peer: the service of bench.proto on gRPC C++, with its asynchronous server and one completion queue, as its
// own benchmark does it. Prints "listening on HOST:PORT"; SIGTERM ends it.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include <grpcpp/grpcpp.h>

#include "bench.grpc.pb.h"

using Service = bench::Bench::AsyncService;

namespace {

// A call in flight; `proceed` is what its completion queue calls next.
struct Call {
	virtual ~Call() = default;
	virtual void proceed(bool ok) = 0;
};

class UnaryCall final : public Call {
public:
	UnaryCall(Service *service, grpc::ServerCompletionQueue *queue)
		: service_(service), queue_(queue), responder_(&context_)
	{
		service_->RequestUnary(&context_, &request_, &responder_, queue_, queue_, this);
	}

	void proceed(bool ok) override
	{
		if (!ok || done_) {
			delete this;
			return;
		}
		new UnaryCall(service_, queue_);
		done_ = true;
		response_.set_payload(request_.payload());
		responder_.Finish(response_, grpc::Status::OK, this);
	}

private:
	Service *service_;
	grpc::ServerCompletionQueue *queue_;
	grpc::ServerContext context_;
	bench::Msg request_, response_;
	grpc::ServerAsyncResponseWriter<bench::Msg> responder_;
	bool done_ = false;
};

class StreamCall final : public Call {
public:
	StreamCall(Service *service, grpc::ServerCompletionQueue *queue)
		: service_(service), queue_(queue), writer_(&context_)
	{
		service_->RequestStream(&context_, &request_, &writer_, queue_, queue_, this);
	}

	void proceed(bool ok) override
	{
		if (!ok || done_) {
			delete this;
			return;
		}
		if (!started_) {
			new StreamCall(service_, queue_);
			started_ = true;
			response_.set_payload(std::string(request_.size(), 'x'));
		}
		if (sent_++ < request_.count()) {
			writer_.Write(response_, this);
			return;
		}
		done_ = true;
		writer_.Finish(grpc::Status::OK, this);
	}

private:
	Service *service_;
	grpc::ServerCompletionQueue *queue_;
	grpc::ServerContext context_;
	bench::StreamReq request_;
	bench::Msg response_;
	grpc::ServerAsyncWriter<bench::Msg> writer_;
	uint32_t sent_ = 0;
	bool started_ = false, done_ = false;
};

} // namespace

int main(int argc, char **argv)
{
	std::string address = "127.0.0.1:0";
	int port = 0;

	for (int i = 1; i + 1 < argc; i += 2)
		if (std::string(argv[i]) == "--listen")
			address = argv[i + 1];

	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	pthread_sigmask(SIG_BLOCK, &mask, nullptr);

	Service service;
	grpc::ServerBuilder builder;
	builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	auto queue = builder.AddCompletionQueue();
	auto server = builder.BuildAndStart();
	if (!server)
		return 1;
	std::printf("listening on 127.0.0.1:%d\n", port);
	std::fflush(stdout);

	for (int i = 0; i < 1000; i++)
		new UnaryCall(&service, queue.get());
	for (int i = 0; i < 10; i++)
		new StreamCall(&service, queue.get());

	std::thread stopper([&] {
		int signal;
		sigwait(&mask, &signal);
		server->Shutdown(std::chrono::system_clock::now());
		queue->Shutdown();
	});
	void *tag;
	bool ok;
	while (queue->Next(&tag, &ok))
		static_cast<Call *>(tag)->proceed(ok);
	stopper.join();
	return 0;
}
