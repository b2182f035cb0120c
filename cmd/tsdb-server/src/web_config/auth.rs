//! Basic authentication.
//!
//! A password takes bcrypt some 50 ms of a core, on purpose; one is tried at a time. What was right
//! once is remembered by its digest, apart from what was wrong: who guesses can't push out who knows.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN};
use tokio::task::spawn_blocking;

use super::error::WebConfigError;

/// Credentials of either kind that are remembered.
const REMEMBERED_MAX: usize = 100;
/// Tried where there is no such user, so that the time does not tell.
const NOBODYS_COST: u32 = 10;
/// bcrypt looks at no more of a password.
const PASSWORD_BYTES_MAX: usize = 72;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// Users, and what was tried with their names.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// Tried where there is no such user.
    nobodys: String,
    known: Mutex<Known>,
    /// Held while a password is tried, by who waits for that.
    trying: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    right: HashSet<Digest>,
    wrong: HashSet<Digest>,
}

/// Name and password as they are sent.
pub(super) struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Of an `Authorization` header. `None` if it is another scheme, or none.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?;
        let (scheme, encoded) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }

    /// Lengths in front: no two credentials have the same bytes.
    fn digest(&self) -> Digest {
        let mut context = ring::digest::Context::new(&SHA256);
        context.update(&(self.user.len() as u64).to_be_bytes());
        context.update(self.user.as_bytes());
        context.update(self.password.as_bytes());
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, WebConfigError> {
        for (user, hash) in &hashes {
            if HashParts::from_str(hash).is_err() {
                return Err(WebConfigError::Password { user: user.clone() });
            }
        }
        let nobodys = if hashes.is_empty() {
            String::new()
        } else {
            // Of a password that nobody knows, and that would not let in anybody.
            let password = format!("{:p}", &hashes);
            bcrypt::hash(password, NOBODYS_COST).unwrap_or_default()
        };
        Ok(Self { hashes, nobodys, known: Mutex::default(), trying: Default::default() })
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What is remembered of these credentials.
    fn remembered(&self, credentials: &Credentials) -> Option<bool> {
        let digest = credentials.digest();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.right.contains(&digest) {
            return Some(true);
        }
        known.wrong.contains(&digest).then_some(false)
    }

    /// Whether these are the credentials of a user. Waits for its turn without a thread.
    pub(super) async fn are_right(self: &Arc<Self>, credentials: Credentials) -> bool {
        if let Some(remembered) = self.remembered(&credentials) {
            return remembered;
        }
        let _one_at_a_time = self.trying.lock().await;
        if let Some(remembered) = self.remembered(&credentials) {
            return remembered;
        }
        let users = Arc::clone(self);
        spawn_blocking(move || users.check(&credentials)).await.unwrap_or(false)
    }

    /// Tries a password; blocks, and takes its time.
    fn check(&self, credentials: &Credentials) -> bool {
        let hash = self.hashes.get(&credentials.user);
        let password = credentials.password.as_bytes();
        let password = password.get(..PASSWORD_BYTES_MAX).unwrap_or(password);
        let verified = bcrypt::verify(password, hash.unwrap_or(&self.nobodys)).unwrap_or(false);
        let is_right = verified && hash.is_some();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = if is_right { &mut known.right } else { &mut known.wrong };
        if same.len() >= REMEMBERED_MAX {
            same.clear();
        }
        same.insert(credentials.digest());
        is_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: &str, password: &str) -> Credentials {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        Credentials::parse(format!("Basic {encoded}").as_bytes()).unwrap()
    }

    fn users() -> Users {
        let hash = bcrypt::hash("secret:with colon", 4).unwrap();
        Users::new([("alice".to_owned(), hash)].into()).unwrap()
    }

    #[test]
    fn the_right_password_is_let_in() {
        let users = users();
        let right = credentials("alice", "secret:with colon");
        assert_eq!(users.remembered(&right), None);
        assert!(users.check(&right));
        assert_eq!(users.remembered(&right), Some(true));
        for (user, password) in [("alice", "secret"), ("bob", "secret:with colon"), ("", "")] {
            let wrong = credentials(user, password);
            assert!(!users.check(&wrong), "{user}");
            assert_eq!(users.remembered(&wrong), Some(false), "{user}");
        }
    }

    #[test]
    fn who_guesses_does_not_push_out_who_knows() {
        let users = users();
        let right = credentials("alice", "secret:with colon");
        assert!(users.check(&right));
        let mut known = users.known.lock().unwrap();
        (0..REMEMBERED_MAX as u64 + 5).for_each(|n| {
            let mut digest = [0; SHA256_OUTPUT_LEN];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            known.wrong.insert(digest);
        });
        drop(known);
        assert!(!users.check(&credentials("alice", "guess")));
        assert_eq!(users.known.lock().unwrap().wrong.len(), 1);
        assert_eq!(users.remembered(&right), Some(true));
    }

    #[test]
    fn other_headers_are_no_credentials() {
        for header in ["", "Basic", "Bearer abc", "Basic !!!", "Basic YWJj"] {
            assert!(Credentials::parse(header.as_bytes()).is_none(), "{header}");
        }
        assert!(Users::new([("alice".to_owned(), "plain".to_owned())].into()).is_err());
    }
}
