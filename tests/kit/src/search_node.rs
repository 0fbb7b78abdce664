// SPDX-License-Identifier: Apache-2.0
//! A real OpenSearch on loopback, from what `just search-node` has put into `target/opensearch`.
//!
//! Without that a test is left out, and a line says so; with `FLEET_REQUIRE_OPENSEARCH=1` it fails.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read as _, Seek as _, Write as _, stderr},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

/// The gate sets this, so that it can't pass with these tests left out.
const REQUIRE: &str = "FLEET_REQUIRE_OPENSEARCH";

/// How long a node may take to start; on two busy processors it takes a quarter of a minute.
const PATIENCE: Duration = Duration::from_mins(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// OpenSearch 2.19.6.
    V2,
    /// OpenSearch 3.9.0.
    V3,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::V2, Self::V3];

    pub fn number(self) -> &'static str {
        match self {
            Self::V2 => "2.19.6",
            Self::V3 => "3.9.0",
        }
    }

    fn program(self) -> PathBuf {
        let folder = match self {
            Self::V2 => "2",
            Self::V3 => "3",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/opensearch").join(folder).join("run")
    }
}

/// An OpenSearch node of one version, listening on 127.0.0.1. It ends when it is dropped, and with this process.
pub struct Node {
    url: String,
    child: Child,
    /// The node ends when its standard input does.
    stdin: Option<ChildStdin>,
}

impl Node {
    /// Starts a node with settings as `http.max_content_length=1mb`; `None` if there is no such version here.
    pub fn start(version: Version, settings: &[&str]) -> anyhow::Result<Option<Self>> {
        let program = version.program();
        if program.exists() {
            return Self::run(&program, settings)
                .map(Some)
                .with_context(|| format!("OpenSearch {} did not start", version.number()));
        }
        let missing = format!(
            "OpenSearch {} is not in target/opensearch; `just search-node` fetches it, with Maven and a JDK",
            version.number()
        );
        if env::var(REQUIRE).is_ok_and(|value| value == "1") {
            bail!("{REQUIRE}=1, but {missing}");
        }
        // Not by `eprintln!`, which is shown only of tests that fail.
        writeln!(stderr(), "left out: {} ({missing})", thread::current().name().unwrap_or("a test"))?;
        Ok(None)
    }

    /// The node of a version that all tests of this process share, each with names of its own.
    pub fn shared(version: Version) -> anyhow::Result<Option<&'static Self>> {
        static SHARED: [OnceLock<Result<Option<Node>, String>>; 2] = [OnceLock::new(), OnceLock::new()];
        let started = SHARED[version as usize]
            .get_or_init(|| Self::start(version, &[]).map_err(|error| format!("{error:#}")));
        started.as_ref().map(Option::as_ref).map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn run(program: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let mut log = tempfile::tempfile()?;
        let mut child = Command::new(program)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("its standard output is read already")?;
        let mut node = Self { url: String::new(), child, stdin };
        let (says, said) = mpsc::channel();
        // To its end: a full pipe would hold the node up.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = says.send(line);
            }
        });
        let mut lines = String::new();
        loop {
            match said.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with("http://") => {
                    node.url = line;
                    return Ok(node);
                }
                Ok(line) => lines += &format!("{line}\n"),
                Err(why) => bail!("no URL ({why}):\n{lines}{}", text(&mut log)?),
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// What a node has written to standard error.
fn text(log: &mut File) -> anyhow::Result<String> {
    let mut text = String::new();
    log.rewind()?;
    log.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_node_listens_until_it_is_dropped() -> anyhow::Result<()> {
        for version in Version::ALL {
            let Some(node) = Node::start(version, &["http.max_content_length=1mb"])? else { continue };
            let address = node.url().strip_prefix("http://").context("a URL")?.to_owned();
            TcpStream::connect(&address)?;
            drop(node);
            TcpStream::connect(&address).expect_err("nothing listens");
        }
        Ok(())
    }

    #[test]
    fn a_node_that_does_not_start_says_why() {
        let failure = Node::start(Version::V2, &["no.such.setting=1"]);
        let left_out = !Version::V2.program().exists();
        assert!(left_out || format!("{:#}", failure.err().expect("an error")).contains("no.such.setting"));
    }
}
