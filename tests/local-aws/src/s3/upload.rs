// SPDX-License-Identifier: Apache-2.0
//! What comes before an upload is stored: the aws-chunked framing is taken off, checksums are compared, and user metadata
//! is measured.

use bytes::{Bytes, BytesMut};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};

use crate::reply::ServiceError;

/// User metadata, names and values together:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA: usize = 2048;
const METADATA_PREFIX: &str = "x-amz-meta-";

/// Gives the plain body, and makes the headers those of an unsigned, unframed request, which is how `s3s` is asked:
/// identity is settled before.
pub(crate) fn unframe(headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, ServiceError> {
    let framed =
        headers.get("x-amz-content-sha256").is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    let body = if framed {
        let (plain, trailers) = dechunk(&body).ok_or_else(incomplete)?;
        for (name, value) in trailers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        let said =
            headers.get("x-amz-decoded-content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        if said.is_some_and(|said: usize| said != plain.len()) {
            return Err(incomplete());
        }
        remove_aws_chunked(headers);
        plain
    } else {
        body
    };
    for name in
        ["x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-security-token"]
    {
        headers.remove(name);
    }
    headers.remove(AUTHORIZATION);
    headers.remove(hyper::header::TRANSFER_ENCODING);
    headers.insert(CONTENT_LENGTH, body.len().into());
    Ok(body)
}

fn incomplete() -> ServiceError {
    ServiceError::new(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
}

fn remove_aws_chunked(headers: &mut HeaderMap) {
    let Some(encoding) = headers.remove(CONTENT_ENCODING) else {
        return;
    };
    let rest: Vec<&str> = encoding
        .to_str()
        .unwrap_or("")
        .split(',')
        .map(str::trim)
        .filter(|it| *it != "aws-chunked" && !it.is_empty())
        .collect();
    if let Some(value) =
        (!rest.is_empty()).then(|| HeaderValue::try_from(rest.join(","))).and_then(Result::ok)
    {
        headers.insert(CONTENT_ENCODING, value);
    }
}

type Trailers = Vec<(String, String)>;

/// Takes `SIZE[;chunk-signature=…]\r\n…\r\n` … `0\r\n` and trailers apart:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>
fn dechunk(body: &Bytes) -> Option<(Bytes, Trailers)> {
    let mut plain = BytesMut::with_capacity(body.len());
    let mut rest: &[u8] = body;
    loop {
        let (line, after) = split_line(rest)?;
        let size = line.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some((plain.freeze(), trailers(after)));
        }
        let (chunk, after) = after.split_at_checked(size)?;
        plain.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

fn trailers(mut rest: &[u8]) -> Trailers {
    let mut trailers = Vec::new();
    while let Some((line, after)) = split_line(rest) {
        if let Some((name, value)) = line.split_once(':') {
            trailers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        rest = after;
    }
    trailers
}

fn split_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

/// The header of the checksum that an upload carries, or of the one that S3 makes where it carries none.
pub(crate) fn checksum(headers: &HeaderMap, body: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    const NAMES: [HeaderName; 5] = [
        HeaderName::from_static("x-amz-checksum-crc32"),
        HeaderName::from_static("x-amz-checksum-crc32c"),
        HeaderName::from_static("x-amz-checksum-sha1"),
        HeaderName::from_static("x-amz-checksum-sha256"),
        HeaderName::from_static("x-amz-checksum-crc64nvme"),
    ];
    let carried = NAMES.into_iter().find_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
    carried.or_else(|| {
        let sum = base64_simd::STANDARD.encode_to_string(Crc64Nvme::checksum(body));
        Some((HeaderName::from_static("x-amz-checksum-crc64nvme"), HeaderValue::try_from(sum).ok()?))
    })
}

/// Compares every checksum that the request carries with the body.
pub(crate) fn check_sums(headers: &HeaderMap, body: &[u8]) -> Result<(), ServiceError> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut hasher = ChecksumHasher {
        crc32: said("x-amz-checksum-crc32").map(|_| Crc32::new()),
        crc32c: said("x-amz-checksum-crc32c").map(|_| Crc32c::new()),
        sha1: said("x-amz-checksum-sha1").map(|_| Sha1::new()),
        sha256: said("x-amz-checksum-sha256").map(|_| Sha256::new()),
        crc64nvme: said("x-amz-checksum-crc64nvme").map(|_| Crc64Nvme::new()),
    };
    hasher.update(body);
    let is = hasher.finalize();
    let pairs = [
        ("x-amz-checksum-crc32", is.checksum_crc32),
        ("x-amz-checksum-crc32c", is.checksum_crc32c),
        ("x-amz-checksum-sha1", is.checksum_sha1),
        ("x-amz-checksum-sha256", is.checksum_sha256),
        ("x-amz-checksum-crc64nvme", is.checksum_crc64nvme),
    ];
    for (name, is) in pairs {
        if said(name) != is.as_deref() {
            return Err(ServiceError::new(
                "BadDigest",
                format!("The {name} you specified did not match what we received."),
            ));
        }
    }
    let md5 = said("content-md5");
    if md5.is_some_and(|md5| md5 != base64_simd::STANDARD.encode_to_string(Md5::digest(body))) {
        return Err(ServiceError::new(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        ));
    }
    Ok(())
}

/// Refuses user metadata above 2 KB, and what is not ASCII.
pub(crate) fn check_metadata(headers: &HeaderMap) -> Result<(), ServiceError> {
    let mut bytes = 0;
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(METADATA_PREFIX) else {
            continue;
        };
        if !value.as_bytes().is_ascii() {
            return Err(ServiceError::new(
                "InvalidArgument",
                "User metadata must be US-ASCII when using REST.",
            ));
        }
        bytes += name.len() + value.len();
    }
    if bytes > MAX_METADATA {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(ServiceError::new("MetadataTooLarge", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers
            .insert("x-amz-content-sha256", HeaderValue::from_static("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
        headers.insert("x-amz-decoded-content-length", HeaderValue::from_static("5"));
        headers.insert("content-encoding", HeaderValue::from_static("aws-chunked"));
        headers
    }

    #[test]
    fn chunks_are_joined_and_trailers_become_headers() {
        let mut headers = framed();
        let body = Bytes::from_static(
            b"3\r\nhel\r\n2;chunk-signature=ab\r\nlo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
        );
        let plain = unframe(&mut headers, body).map_err(|error| error.message).expect("unframed");
        assert_eq!(plain, "hello");
        assert_eq!(headers["x-amz-checksum-crc32"], "NhCmhg==");
        assert_eq!(headers["content-length"], "5");
        assert!(!headers.contains_key("content-encoding"));
        assert!(check_sums(&headers, &plain).is_ok());
        assert!(check_sums(&headers, b"hullo").is_err());
    }

    #[test]
    fn a_cut_upload_is_refused() {
        for body in ["3\r\nhel\r\n", "5\r\nhel", "3\r\nhel\r\n0\r\n\r\n"] {
            let cut = unframe(&mut framed(), Bytes::copy_from_slice(body.as_bytes()));
            assert_eq!(
                cut.err().map(|error| error.code.into_owned()).as_deref(),
                Some("IncompleteBody"),
                "{body:?}"
            );
        }
    }

    #[test]
    fn metadata_is_measured_without_its_prefix() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-a", HeaderValue::try_from("x".repeat(2047)).expect("value"));
        assert!(check_metadata(&headers).is_ok());
        headers.insert("x-amz-meta-b", HeaderValue::from_static(""));
        assert_eq!(
            check_metadata(&headers).err().map(|error| error.code).as_deref(),
            Some("MetadataTooLarge")
        );
    }
}
