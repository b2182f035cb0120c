//! Matchers and selectors against what Prometheus made of the same text.

use serde_json::Value;
use tsdb::query::{MatchOp, Matcher, parse_selector};

/// The lines of a golden file; `#` starts its provenance note.
fn golden(text: &str) -> impl Iterator<Item = Value> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| serde_json::from_str(line).expect("a line of the golden file is JSON"))
}

/// Where Prometheus departs from RE2 and we do not; the page of the module `re2` has the reasons.
const KNOWN_DIFFERENCES: &[(&str, &str)] =
    &[("(?i)[[:ascii:]]", "\u{a0}"), (r"\x{d800}", "\u{fffd}")];

/// Compares one table; returns what differs.
fn differences(text: &str) -> Vec<String> {
    let mut lines = golden(text);
    let head = lines.next().expect("the golden file has subjects");
    let subjects: Vec<&str> =
        head["subjects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    for line in lines {
        let pattern = line["pattern"].as_str().expect("pattern");
        let refused = line["refused"].as_bool().unwrap_or(false);
        let matcher = match Matcher::new("a", MatchOp::Regex, pattern) {
            Ok(matcher) if !refused => matcher,
            Ok(_) => {
                found.push(format!("{pattern:?} must be refused"));
                continue;
            }
            Err(_) if refused => continue,
            Err(error) => {
                found.push(format!("{pattern:?} must be accepted: {error}"));
                continue;
            }
        };
        let inverse = Matcher::new("a", MatchOp::NotRegex, pattern).expect("accepted above");
        let wanted: Vec<u64> =
            line["matches"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        for (i, subject) in subjects.iter().enumerate() {
            if KNOWN_DIFFERENCES.contains(&(pattern, subject)) {
                continue;
            }
            let want = wanted.contains(&(i as u64));
            if matcher.matches(subject) != want || inverse.matches(subject) == want {
                found.push(format!("{pattern:?} on {subject:?}: want {want}"));
            }
        }
    }
    found
}

#[test]
fn patterns_match_what_prometheus_matches() {
    let found = differences(include_str!("../golden/re2.jsonl"));
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// For more patterns than are kept: `TSDB_RE2_TABLE` names a file like `golden/re2.jsonl`.
#[test]
fn patterns_of_a_given_table() {
    let Some(path) = std::env::var_os("TSDB_RE2_TABLE") else { return };
    let text = std::fs::read_to_string(path).expect("the table can be read");
    let found = differences(&text);
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn selectors_parse_as_in_prometheus() {
    let mut found = Vec::new();
    for line in golden(include_str!("../golden/selectors.jsonl")) {
        let selector = line["selector"].as_str().expect("selector");
        let refused = line["refused"].is_string();
        match parse_selector(selector) {
            Err(_) if refused => {}
            Err(error) => found.push(format!("must be accepted: {error}")),
            Ok(_) if refused => found.push(format!("{selector:?} must be refused")),
            Ok(matchers) => {
                let ours: Vec<[&str; 3]> =
                    matchers.iter().map(|m| [m.name(), m.op().as_str(), m.value()]).collect();
                if serde_json::json!(ours) != line["matchers"] {
                    found.push(format!("{selector:?}: {ours:?}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// Prometheus turns such bytes into U+FFFD on output; no label holds them, so we refuse.
#[test]
fn a_string_that_is_not_utf8_is_refused() {
    for selector in [r#"{a="\xff"}"#, r#"{"\xff"="x"}"#, r#"{a="\303"}"#] {
        let error = parse_selector(selector).expect_err("not UTF-8");
        assert!(error.to_string().contains("not UTF-8"), "{error}");
    }
}

#[test]
fn an_error_points_at_its_place() {
    for (selector, offset, text) in [
        (r#"up{a="b" c="d"}"#, 9, "expected \",\" or \"}\""),
        (r#"up{a="b"} 5"#, 10, "expected"),
        (r#"{a=~"x("}"#, 4, "at byte 2: missing closing )"),
        ("on{}", 0, "needs quotes"),
        (r#"up{a="b"#, 5, "unterminated"),
    ] {
        let error = parse_selector(selector).expect_err("refused");
        assert_eq!(error.offset_bytes, offset, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// A matcher printed is a selector that parses to the same matcher.
#[test]
fn a_matcher_prints_as_promql() {
    for (name, value) in
        [("job", "api"), ("my.label", "a\"b\\c\n"), ("x", "\u{0}\u{7f}\t'`"), ("é", "日本\u{200b}")]
    {
        for op in [MatchOp::Equal, MatchOp::NotEqual] {
            let matcher = Matcher::new(name, op, value).expect("no pattern");
            let parsed = parse_selector(&format!("{{{matcher}}}")).expect("parses");
            assert_eq!(parsed.len(), 1);
            assert_eq!((parsed[0].name(), parsed[0].op(), parsed[0].value()), (name, op, value));
        }
    }
}
