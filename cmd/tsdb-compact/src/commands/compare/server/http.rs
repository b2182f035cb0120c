//! As much of HTTP/1.1 as two servers on loopback need: one request, one connection, one answer that
//! has to be whole.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For one read or write of the socket.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The beginning of the body, in one line, for error messages.
    pub(super) fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").chars().take(200).collect()
    }
}

pub(super) fn get(to: SocketAddr, path: &str) -> io::Result<Answer> {
    request(to, &format!("GET {path} HTTP/1.1\r\n"), &[])
}

/// `headers` end with a line break each.
pub(super) fn post(to: SocketAddr, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
    let length = body.len();
    request(to, &format!("POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n{headers}"), body)
}

fn request(to: SocketAddr, head: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "{head}Host: {to}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(bytes).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// `None` if it is no answer, or not a whole one.
fn parse(mut bytes: Vec<u8>) -> Option<Answer> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let body = bytes.split_off(head_end + 4);
    let head = String::from_utf8(bytes).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        let mut pairs = head.split("\r\n").filter_map(|line| line.split_once(':'));
        pairs.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    if header("Transfer-Encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked")) {
        return Some(Answer { status, body: dechunked(&body)? });
    }
    match header("Content-Length") {
        Some(length) if length.parse() != Ok(body.len()) => None,
        _ => Some(Answer { status, body }),
    }
}

fn dechunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let line = std::str::from_utf8(bytes.get(..line_end)?).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let (from, to) = (line_end + 2, line_end.checked_add(2)?.checked_add(size)?);
        body.extend_from_slice(bytes.get(from..to)?);
        bytes = bytes.get(to + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_off_is_none() {
        let plain = b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok";
        let answer = parse(plain.to_vec()).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (204, &b"ok"[..]));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                        2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked.to_vec()).unwrap().body, b"abcde");
        for (whole, cut) in [(&plain[..], 1), (&chunked[..], 5)] {
            assert!(parse(whole[..whole.len() - cut].to_vec()).is_none());
        }
    }
}
