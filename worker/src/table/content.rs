// SPDX-License-Identifier: Apache-2.0
//! The bytes of tables: in memory while they are few, and in temporary files without a name after that. A day of 20,000
//! resources by five minutes is more than a gigabyte.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_s3::primitives::{ByteStream, Length};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// How many bytes of a collection, or of a table, are held in memory.
pub const MOST_IN_MEMORY: u64 = 8 << 20;

/// A table, or a part of one.
#[derive(Debug, Clone)]
pub enum Content {
    Memory(Bytes),
    File { file: Arc<File>, range: Range<u64> },
}

impl Content {
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { range, .. } => range.end - range.start,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// That of the file system.
    pub fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::File { file, range } => {
                let mut bytes = vec![0; usize::try_from(self.len()).map_err(io::Error::other)?];
                file.read_exact_at(&mut bytes, range.start)?;
                Ok(bytes.into())
            }
        }
    }

    /// A part of it, which is not copied.
    #[must_use]
    pub fn slice(&self, part: Range<u64>) -> Self {
        let end = part.end.min(self.len());
        let start = part.start.min(end);
        match self {
            Self::Memory(bytes) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                Self::Memory(bytes.slice(place(start)..place(end)))
            }
            Self::File { file, range } => {
                Self::File { file: file.clone(), range: range.start + start..range.start + end }
            }
        }
    }

    /// Reads it from its begin. Only one reader of a file may be in use.
    ///
    /// # Errors
    ///
    /// That of the file system.
    pub fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(&**bytes),
            Self::File { file, range } => {
                (&**file).seek(SeekFrom::Start(range.start))?;
                Box::new(BufReader::new((&**file).take(self.len())))
            }
        })
    }

    /// The body of an upload. Only one of a file may be in use.
    ///
    /// # Errors
    ///
    /// That of the file system.
    pub async fn stream(&self) -> io::Result<ByteStream> {
        match self {
            Self::Memory(bytes) => Ok(ByteStream::from(bytes.clone())),
            Self::File { file, range } => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(range.start))?;
                let body = ByteStream::read_from().file(tokio::fs::File::from_std(file));
                let body = body.offset(range.start).length(Length::Exact(self.len()));
                body.build().await.map_err(io::Error::other)
            }
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes.into())
    }
}

/// Where the parts of tables are kept while more are collected.
#[derive(Debug, Default)]
pub struct Spool(Mutex<Spooled>);

#[derive(Debug, Default)]
struct Spooled {
    in_memory: u64,
    /// The file, and its length.
    file: Option<(Arc<File>, u64)>,
    /// Whether there can be no file.
    has_no_file: bool,
}

impl Spool {
    /// Keeps a part. A short write into the page cache: it does not wait for a disk.
    #[must_use]
    pub fn keep(&self, bytes: Vec<u8>) -> Content {
        let mut spooled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = bytes.len() as u64;
        if !spooled.has_no_file && spooled.in_memory + length > MOST_IN_MEMORY {
            match spooled.append(&bytes) {
                Ok(content) => return content,
                Err(error) => {
                    tracing::warn!(%error, "no temporary file can be written, so that all rows are held in memory");
                    spooled.has_no_file = true;
                }
            }
        }
        spooled.in_memory += length;
        // Without spare capacity.
        Content::Memory(bytes.into_boxed_slice().into())
    }
}

impl Spooled {
    fn append(&mut self, bytes: &[u8]) -> io::Result<Content> {
        let (file, end) = match &mut self.file {
            Some(known) => known,
            none => none.insert((Arc::new(tempfile::tempfile()?), 0)),
        };
        let range = *end..*end + bytes.len() as u64;
        file.write_all_at(bytes, range.start)?;
        *end = range.end;
        Ok(Content::File { file: file.clone(), range })
    }
}

/// A table that is written part by part, with its digest.
pub struct Writer {
    digest: Sha256,
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
    length: u64,
}

impl Writer {
    /// For a table of this length.
    ///
    /// # Errors
    ///
    /// That of the file system, if it is long.
    pub fn new(length: u64) -> io::Result<Self> {
        let is_long = length > MOST_IN_MEMORY;
        let memory =
            if is_long { Vec::new() } else { Vec::with_capacity(usize::try_from(length).unwrap_or(0)) };
        let file = is_long.then(tempfile::tempfile).transpose()?.map(BufWriter::new);
        Ok(Self { digest: Sha256::new(), memory, file, length: 0 })
    }

    /// # Errors
    ///
    /// That of the file system.
    pub fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => {
                self.memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The table, and its SHA-256 in hexadecimal.
    ///
    /// # Errors
    ///
    /// That of the file system.
    pub fn finish(self) -> io::Result<(Content, String)> {
        let content = match self.file {
            Some(file) => {
                let file = Arc::new(file.into_inner().map_err(io::IntoInnerError::into_error)?);
                Content::File { file, range: 0..self.length }
            }
            None => Content::from(self.memory),
        };
        Ok((content, hexadecimal(&self.digest.finalize())))
    }
}

/// The SHA-256 of bytes, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: usize = 1 << 20;

    #[test]
    fn what_exceeds_the_memory_is_kept_in_a_file() {
        let spool = Spool::default();
        let parts: Vec<Content> = (0..12_u8).map(|nth| spool.keep(vec![nth; MEBIBYTE])).collect();
        let in_file = parts.iter().filter(|part| matches!(part, Content::File { .. })).count();
        assert_eq!(in_file, 4);
        for (nth, part) in (0..).zip(&parts) {
            assert_eq!(part.read().expect("read"), vec![nth; MEBIBYTE]);
            assert_eq!(part.slice(5..9).read().expect("read"), vec![nth; 4]);
            assert_eq!(part.slice(MEBIBYTE as u64 - 1..u64::MAX).len(), 1);
        }
    }

    #[tokio::test]
    async fn a_table_is_the_same_in_memory_and_in_a_file() {
        for length in [3, 9 * MEBIBYTE] {
            let expected: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).expect("small")).collect();
            let mut writer = Writer::new(length as u64).expect("a file");
            for part in expected.chunks(70_000) {
                writer.add(part).expect("written");
            }
            let (content, digest) = writer.finish().expect("written");
            assert_eq!(matches!(content, Content::File { .. }), length > 3);
            assert_eq!(digest, sha256(&expected));
            assert_eq!(content.read().expect("read"), expected);
            // Again and again: an upload may be repeated.
            for _ in 0..2 {
                let body = content.stream().await.expect("opened").collect().await.expect("read");
                assert!(body.into_bytes() == expected);
                let mut read = Vec::new();
                content.reader().expect("opened").read_to_end(&mut read).expect("read");
                assert!(read == expected);
            }
            let tail = content.slice(1..u64::MAX).stream().await.expect("opened").collect().await;
            assert!(tail.expect("read").into_bytes() == expected[1..]);
        }
    }
}
