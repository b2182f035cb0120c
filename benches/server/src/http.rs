//! A connection that is kept, and answers that are read whole. Nothing is copied but bodies: what a
//! client does is measured along.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Longer than any answer should take.
const TIMEOUT: Duration = Duration::from_secs(300);
const READ_BYTES: usize = 256 << 10;

/// A request, head and body, as it is sent.
#[derive(Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A POST with these headers.
    pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: bench\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        Self(bytes)
    }

    pub(crate) fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// How a body ends.
enum Length {
    Known(usize),
    Chunked,
}

pub(crate) struct Connection {
    stream: TcpStream,
    /// Of what was read, what is left begins at `taken`.
    buffer: Vec<u8>,
    taken: usize,
}

impl Connection {
    /// # Errors
    /// If nobody listens.
    pub(crate) fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, buffer: Vec::new(), taken: 0 })
    }

    /// Sends, and reads the answer to its end.
    ///
    /// # Errors
    /// If the connection breaks, or the answer is none.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.stream.write_all(&request.0).context("sending a request")?;
        let (status, length) = self.head()?;
        let mut body = Vec::new();
        match length {
            Length::Known(bytes) => self.take(bytes, &mut body)?,
            Length::Chunked => loop {
                let line = self.line()?;
                let bytes = usize::from_str_radix(line.split(';').next().unwrap_or(""), 16)
                    .with_context(|| format!("the length of a chunk: {line:?}"))?;
                self.take(bytes, &mut body)?;
                ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
                if bytes == 0 {
                    break;
                }
            },
        }
        Ok(Answer { status, body })
    }

    fn head(&mut self) -> Result<(u16, Length)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let Some(status) = status else { bail!("no answer: {line:?}") };
        let mut length = Length::Known(0);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, length));
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = Length::Known(value.trim().parse().context("Content-Length")?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            }
        }
    }

    /// To the next end of a line, without that.
    fn line(&mut self) -> Result<String> {
        loop {
            let left = self.buffer.get(self.taken..).unwrap_or_default();
            if let Some(at) = left.windows(2).position(|window| window == b"\r\n") {
                let line = String::from_utf8_lossy(left.get(..at).unwrap_or_default()).into_owned();
                self.taken += at + 2;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn take(&mut self, mut bytes: usize, to: &mut Vec<u8>) -> Result<()> {
        while bytes > 0 {
            let left = self.buffer.get(self.taken..).unwrap_or_default();
            let some = left.get(..bytes.min(left.len())).unwrap_or_default();
            to.extend_from_slice(some);
            self.taken += some.len();
            bytes -= some.len();
            if bytes > 0 {
                self.fill()?;
            }
        }
        Ok(())
    }

    /// Reads some more behind what is left.
    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let begin = self.buffer.len();
        self.buffer.resize(begin + READ_BYTES, 0);
        let read = self.stream.read(self.buffer.get_mut(begin..).unwrap_or_default());
        let read = read.context("reading an answer")?;
        self.buffer.truncate(begin + read);
        ensure!(read > 0, "the answer ends early");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// Answers of all kinds on one connection, in pieces that end anywhere.
    #[test]
    fn answers_are_read_to_their_end_and_no_further() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let answers = "HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 400 Bad\r\ncontent-length: 3\r\n\r\nwhy\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nearly";
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            answers.as_bytes().chunks(7).for_each(|piece| stream.write_all(piece).unwrap());
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            // With requests unread, a close would be a reset, and answers under way be lost.
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let mut connection = Connection::open(to).unwrap();
        let mut ask = || connection.ask(&Request::get("/"));
        for (status, body) in [(204, ""), (400, "why"), (200, "abcdef")] {
            let answer = ask().unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (status, body.as_bytes()));
        }
        assert!(ask().is_err(), "an answer that ends early is none");
    }
}
