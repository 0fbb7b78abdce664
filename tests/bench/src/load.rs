// SPDX-License-Identifier: Apache-2.0
//! A client that asks as fast as it can: requests that were written beforehand, on a few connections, so that
//! its own part is small.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use cli::output;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) calls: u64,
    pub(crate) seconds: f64,
}

/// Sends the requests in a folder over and over. The arguments are the address, the folder, how many
/// connections and how many seconds.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = arguments.collect();
    let [address, folder, connections, seconds] = arguments.as_slice() else {
        bail!("it takes four arguments");
    };
    let requests = read(Path::new(folder))?;
    let (begun, until) = (Instant::now(), Duration::from_secs(seconds.parse()?));
    let calls: anyhow::Result<u64> = thread::scope(|scope| {
        let ask = |first: usize| converse(address, requests.iter().cycle().skip(first * 7), begun + until);
        let threads: Vec<_> = (0..connections.parse()?).map(|nth| scope.spawn(move || ask(nth))).collect();
        threads.into_iter().map(|it| it.join().unwrap_or_else(|_| bail!("a connection panicked"))).sum()
    });
    let load = Load { calls: calls?, seconds: begun.elapsed().as_secs_f64() };
    output::print(&serde_json::to_string(&load)?)?;
    Ok(ExitCode::SUCCESS)
}

fn read(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for entry in fs::read_dir(folder)? {
        requests.push(fs::read(entry?.path())?);
    }
    ensure!(!requests.is_empty(), "there is no request in {}", folder.display());
    Ok(requests)
}

/// Asks on one connection until it is time, and gives how many were answered.
fn converse<'a>(
    address: &str,
    requests: impl Iterator<Item = &'a Vec<u8>>,
    until: Instant,
) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address).context("could not connect")?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone()?);
    let (mut calls, mut body) = (0, Vec::new());
    for request in requests {
        if Instant::now() >= until {
            break;
        }
        stream.write_all(request)?;
        answer(&mut reader, &mut body)?;
        calls += 1;
    }
    Ok(calls)
}

/// Reads an answer, which must be a good one.
fn answer(reader: &mut impl BufRead, body: &mut Vec<u8>) -> anyhow::Result<()> {
    let (mut line, mut length, mut is_good) = (String::new(), 0, None);
    loop {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the connection was closed");
        let head = line.trim_end().to_ascii_lowercase();
        is_good.get_or_insert_with(|| head.starts_with("http/1.1 200"));
        if let Some(value) = head.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if head.is_empty() {
            break;
        }
    }
    body.resize(length, 0);
    reader.read_exact(body)?;
    ensure!(is_good == Some(true), "refused: {}", String::from_utf8_lossy(body));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let mut two: &[u8] =
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\nno";
        let mut body = Vec::new();
        answer(&mut two, &mut body).expect("a good one");
        assert_eq!(body, b"abc");
        assert_eq!(answer(&mut two, &mut body).expect_err("a bad one").to_string(), "refused: no");
        assert!(two.is_empty());
    }
}
