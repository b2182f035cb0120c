//! What a request is: by its `Content-Type` and `Content-Encoding`.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use clap::ValueEnum;

use crate::http::text;

const PROTOBUF: &str = "application/x-protobuf";

/// A message of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageType {
    /// Remote write 1.0.
    #[value(name = "prometheus.WriteRequest")]
    V1,
    /// Remote write 2.0.
    #[value(name = "io.prometheus.write.v2.Request")]
    V2,
}

impl MessageType {
    const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// Its name in protocol buffers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Snappy's block format.
    Snappy,
    Zstd,
}

/// What is sent is not taken here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsupported {
    #[error("expected {PROTOBUF} as the first (media) part, got {content_type:?}")]
    ContentType { content_type: String },
    #[error("unknown protobuf message {name:?}")]
    UnknownMessage { name: String },
    #[error("{} protobuf message is not accepted by this server", message_type.as_str())]
    MessageNotAccepted { message_type: MessageType },
    #[error("{encoding:?} encoding is not accepted by this server; snappy and zstd are")]
    Encoding { encoding: String },
}

impl IntoResponse for Unsupported {
    fn into_response(self) -> Response {
        text(StatusCode::UNSUPPORTED_MEDIA_TYPE, self.to_string())
    }
}

/// What a request is. Without a type it is 1.0, without an encoding snappy, as in Prometheus.
pub(super) fn negotiate(
    headers: &HeaderMap,
    accepted: &[MessageType],
) -> Result<(MessageType, Encoding), Unsupported> {
    let of = |name| headers.get(&name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let message_type = match of(CONTENT_TYPE) {
        Some(content_type) => message_type(&content_type)?,
        None => MessageType::V1,
    };
    if !accepted.contains(&message_type) {
        return Err(Unsupported::MessageNotAccepted { message_type });
    }
    let encoding = match of(CONTENT_ENCODING).as_deref() {
        None | Some("" | "snappy") => Encoding::Snappy,
        Some("zstd") => Encoding::Zstd,
        Some(other) => return Err(Unsupported::Encoding { encoding: other.to_owned() }),
    };
    Ok((message_type, encoding))
}

fn message_type(content_type: &str) -> Result<MessageType, Unsupported> {
    let refused = || Unsupported::ContentType { content_type: content_type.to_owned() };
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case(PROTOBUF)) {
        return Err(refused());
    }
    for part in parts.filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(refused)?;
        if key.trim().eq_ignore_ascii_case("proto") {
            let name = value.trim().trim_matches('"');
            let known = MessageType::ALL.into_iter().find(|known| known.as_str() == name);
            return known.ok_or_else(|| Unsupported::UnknownMessage { name: name.to_owned() });
        }
    }
    Ok(MessageType::V1)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(
        content_type: Option<&'static str>,
        encoding: Option<&'static str>,
    ) -> Result<(MessageType, Encoding), Unsupported> {
        let mut headers = HeaderMap::new();
        let mut insert = |name, value: Option<&'static str>| {
            value.map(|value| headers.insert(name, HeaderValue::from_static(value)));
        };
        insert(CONTENT_TYPE, content_type);
        insert(CONTENT_ENCODING, encoding);
        negotiate(&headers, &MessageType::ALL)
    }

    #[test]
    fn types_are_those_of_the_specification() {
        let v1 = Ok((MessageType::V1, Encoding::Snappy));
        let v2 = Ok((MessageType::V2, Encoding::Snappy));
        assert_eq!(asked(None, None), v1);
        assert_eq!(asked(Some("application/x-protobuf"), Some("snappy")), v1);
        assert_eq!(asked(Some("application/x-protobuf;proto=prometheus.WriteRequest"), None), v1);
        let two = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        assert_eq!(asked(Some(two), Some("snappy")), v2);
        assert_eq!(asked(Some(two), Some("zstd")).unwrap().1, Encoding::Zstd);
    }

    #[test]
    fn others_are_refused() {
        for content_type in
            ["application/json", "application/x-protobuf;proto", "application/x-protobuf;proto=x"]
        {
            assert!(asked(Some(content_type), None).is_err(), "{content_type}");
        }
        assert!(asked(None, Some("gzip")).is_err());
        let refused = negotiate(&HeaderMap::new(), &[MessageType::V2]).unwrap_err();
        assert_eq!(refused, Unsupported::MessageNotAccepted { message_type: MessageType::V1 });
    }
}
