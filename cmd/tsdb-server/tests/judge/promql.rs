//! Queries, and whether two servers answer them alike.

use serde_json::Value;

use crate::process::Process;

/// Sums are added up in the order in which series come, which is not the same from everywhere.
const RELATIVE_ERROR: f64 = 1e-12;

/// More than 200 queries over what `load` stores.
pub(crate) fn queries() -> Vec<String> {
    let floats = ["judge_requests_total", "judge_temperature"];
    let histograms = ["judge_native", "judge_native_float", "judge_native_custom"];
    let matchers = [
        "",
        "{job=\"api\"}",
        "{job!=\"api\"}",
        "{instance=~\"i[0-3]\"}",
        "{instance!~\"i[0-3]|i7\",job=~\"a.*|w.*\"}",
        "{job=~\".*quoted.*\"}",
        "{nothing=\"\"}",
        "{nothing=\"there\"}",
    ];
    let over_floats = [
        "{}",
        "rate({}[1m])",
        "increase({}[90s])",
        "avg_over_time({}[2m])",
        "min_over_time({}[45s])",
        "max_over_time({}[45s])",
        "count_over_time({}[5m])",
        "last_over_time({}[3m])",
        "quantile_over_time(0.9, {}[2m])",
        "changes({}[2m])",
        "resets({}[4m])",
        "deriv({}[1m])",
        "timestamp({})",
        "absent({})",
        "{} offset 1m",
        "sum by (job) ({})",
    ];
    let over_histograms = [
        "{}",
        "histogram_quantile(0.9, rate({}[1m]))",
        "histogram_count({})",
        "histogram_sum({})",
        "histogram_avg({})",
        "histogram_fraction(0, 1, {})",
        "rate({}[2m])",
        "increase({}[1m])",
        "count_over_time({}[5m])",
        "sum({})",
        "resets({}[4m])",
        "changes({}[2m])",
    ];
    let mut all = Vec::new();
    let mut add = |names: &[&str], matchers: &[&str], forms: &[&str]| {
        for name in names {
            for matcher in matchers {
                let selector = format!("{name}{matcher}");
                all.extend(forms.iter().map(|form| form.replace("{}", &selector)));
            }
        }
    };
    add(&floats, &matchers, &over_floats);
    add(&histograms, &["", "{instance=~\"i[0-3]\"}"], &over_histograms);
    all.extend(
        [
            "count({__name__=~\"judge_.+\"})",
            "count by (__name__) ({__name__=~\"judge_.+\"})",
            "topk(3, judge_temperature)",
            "judge_requests_total / on (instance, job) judge_temperature",
            "max_over_time(rate(judge_requests_total[30s])[2m:10s])",
        ]
        .map(str::to_owned),
    );
    all
}

/// Asks both the same, at a time and over a range; how many answers were not empty.
///
/// # Panics
/// If an answer differs.
pub(crate) fn compare(
    ours: &Process,
    theirs: &Process,
    queries: &[String],
    range: (i64, i64),
) -> usize {
    let mut non_empty = 0;
    for (number, query) in queries.iter().enumerate() {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let path = if number % 2 == 0 {
            let (start, end) = (seconds(range.0), seconds(range.1));
            format!("/api/v1/query_range?query={encoded}&start={start}&end={end}&step=7")
        } else {
            let at = seconds(range.0 + (range.1 - range.0) * (number as i64 % 97) / 97);
            format!("/api/v1/query?query={encoded}&time={at}")
        };
        let (our, their) = (answer(ours, &path), answer(theirs, &path));
        non_empty += usize::from(!their.is_empty());
        assert_eq!(our.len(), their.len(), "{query}: {path}");
        for (our, their) in our.iter().zip(&their) {
            assert!(is_alike(our, their), "{query}: {path}:\nours   {our}\ntheirs {their}");
        }
    }
    non_empty
}

/// The series of an answer, by their labels.
pub(crate) fn answer(of: &Process, path: &str) -> Vec<Value> {
    let response = of.get(path).unwrap();
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    let mut json = response.json();
    assert_eq!(json["warnings"], Value::Null, "{path}");
    let Value::Array(mut series) = json["data"]["result"].take() else { panic!("{path}: {json}") };
    series.sort_by_key(|series| series["metric"].to_string());
    series
}

/// Whether two answers are equal, but for the last digits of numbers.
fn is_alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_alike(a, b)))
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
            (a - b).abs() <= RELATIVE_ERROR * a.abs().max(b.abs())
        }
        (a, b) => a == b,
    }
}
