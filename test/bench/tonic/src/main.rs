// SPDX-License-Identifier: MIT
//! A peer: the service of bench.proto on tonic, on one thread, payloads without copy.
//! Prints "listening on HOST:PORT"; SIGTERM ends it.
use std::pin::Pin;

use futures_util::{stream, Stream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{transport::Server, Request, Response, Status};

pub mod bench {
    tonic::include_proto!("bench");
}
use bench::bench_server::{Bench, BenchServer};
use bench::{Msg, StreamReq};

struct Service;

#[tonic::async_trait]
impl Bench for Service {
    async fn unary(&self, request: Request<Msg>) -> Result<Response<Msg>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type StreamStream = Pin<Box<dyn Stream<Item = Result<Msg, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<StreamReq>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let request = request.into_inner();
        let message = Msg {
            payload: vec![b'x'; request.size as usize].into(),
        };
        let messages = (0..request.count).map(move |_| Ok(message.clone()));
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let address = match args.iter().position(|arg| arg == "--listen") {
        Some(at) => args[at + 1].as_str(),
        None => "127.0.0.1:0",
    };
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);

    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(16 * 1024 * 1024)
        .initial_connection_window_size(64 * 1024 * 1024)
        .add_service(BenchServer::new(Service))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
            term.recv().await;
        })
        .await?;
    Ok(())
}
