//! The rest of `/api/v1`.

use prost::Message;
use serde_json::json;

use crate::exchange::{V1, floats, labels, now_ms, post, read_samples, write_v1};
use crate::messages::v1;
use crate::server::{TestServer, dir};

fn filled(server: &TestServer) -> i64 {
    let now = now_ms() - 10_000;
    let series = [("a", "1"), ("a", "2"), ("b", "1")].map(|(job, instance)| {
        let pairs = [("__name__", "up"), ("instance", instance), ("job", job)];
        floats(&pairs, &[(now, 1.0)])
    });
    let other = floats(&[("__name__", "other"), ("job", "c")], &[(now + 5000, 1.0)]);
    let all = series.into_iter().chain([other]).collect();
    assert_eq!(write_v1(server, all).status, 204);
    now
}

#[test]
fn labels_and_values_are_listed() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    assert_eq!(server.data("/api/v1/labels"), json!([]));
    filled(&server);
    assert_eq!(server.data("/api/v1/labels"), json!(["__name__", "instance", "job"]));
    assert_eq!(server.data("/api/v1/labels?match[]=other"), json!(["__name__", "job"]));
    assert_eq!(server.data("/api/v1/label/job/values"), json!(["a", "b", "c"]));
    let both = "/api/v1/label/job/values?match[]=other&match[]=up{instance=\"2\"}";
    assert_eq!(server.data(&both.replace('"', "%22")), json!(["a", "c"]));
    assert_eq!(server.data("/api/v1/label/U__job/values"), json!(["a", "b", "c"]));
    let limited = server.get("/api/v1/label/job/values?limit=2").json();
    assert_eq!(limited["data"], json!(["a", "b"]));
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let posted = server.post("/api/v1/labels", &form, b"match%5B%5D=other").json();
    assert_eq!(posted["data"], json!(["__name__", "job"]));
}

#[test]
fn series_are_listed() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    filled(&server);
    let two = json!([
        {"__name__": "up", "instance": "1", "job": "a"},
        {"__name__": "up", "instance": "2", "job": "a"},
    ]);
    assert_eq!(server.data("/api/v1/series?match[]=up{job=%22a%22}"), two);
    let limited = server.get("/api/v1/series?match[]=up&limit=1").json();
    assert_eq!(limited["data"].as_array().unwrap().len(), 1);
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));
    assert_eq!(server.data("/api/v1/series?match[]=up&end=1"), json!([]));
}

#[test]
fn errors_have_prometheuss_shape() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    for (path, status, error_type, text) in [
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/series?match[]=up&start=x", 400, "bad_data", "invalid time value for 'start'"),
        ("/api/v1/labels?match[]=%7B", 400, "bad_data", "match[]"),
        ("/api/v1/labels?limit=-1", 400, "bad_data", "limit must be non-negative"),
        ("/api/v1/status/tsdb?limit=0", 400, "bad_data", "limit must be a positive number"),
        ("/api/v1/query_exemplars?query=rate(up[5m])", 400, "bad_data", "only selectors"),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, status, "{path}");
        let json = response.json();
        assert_eq!((&json["status"], &json["errorType"]), (&json!("error"), &json!(error_type)));
        assert!(json["error"].as_str().unwrap().contains(text), "{json}");
    }
}

#[test]
fn the_admin_api_is_off_unless_enabled() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    filled(&server);
    for call in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        let response = server.post(&format!("/api/v1/admin/tsdb/{call}"), &[], b"");
        assert_eq!(response.status, 503, "{call}");
        assert_eq!(response.json()["error"], "admin APIs disabled");
    }
    assert_eq!(read_samples(&server, "__name__", "up").len(), 3);
}

#[test]
fn the_admin_api_deletes_and_copies() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--web.enable-admin-api"]);
    filled(&server);
    let response = server.post("/api/v1/admin/tsdb/snapshot", &[], b"").json();
    let name = response["data"]["name"].as_str().unwrap();
    let copy = dir.path().join("snapshots").join(name);
    let blocks = std::fs::read_dir(&copy).unwrap().count();
    assert_eq!(blocks, 1, "the head is a block in the copy");
    let without = server.post("/api/v1/admin/tsdb/snapshot?skip_head=true", &[], b"").json();
    let empty = dir.path().join("snapshots").join(without["data"]["name"].as_str().unwrap());
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    let delete = server.post("/api/v1/admin/tsdb/delete_series?match[]=up", &[], b"");
    assert_eq!((delete.status, delete.text()), (204, ""));
    assert!(read_samples(&server, "__name__", "up").is_empty());
    assert_eq!(read_samples(&server, "__name__", "other").len(), 1);
    assert_eq!(server.post("/api/v1/admin/tsdb/clean_tombstones", &[], b"").status, 204);
    assert_eq!(server.post("/api/v1/admin/tsdb/delete_series", &[], b"").status, 400);
    assert_eq!(server.get("/api/v1/admin/tsdb/snapshot").status, 405);
    // What was copied can be served.
    let copied = TestServer::start(&copy, &[]);
    assert_eq!(read_samples(&copied, "__name__", "up").len(), 3);
}

#[test]
fn status_is_told() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--storage.tsdb.retention.time=3d"]);
    let now = filled(&server);
    let status = server.data("/api/v1/status/tsdb");
    let head = &status["headStats"];
    assert_eq!((&head["numSeries"], &head["numLabelPairs"]), (&json!(4), &json!(7)));
    assert_eq!((&head["minTime"], &head["maxTime"]), (&json!(now), &json!(now + 5000)));
    let by_metric = json!([{"name": "up", "value": 3}, {"name": "other", "value": 1}]);
    assert_eq!(status["seriesCountByMetricName"], by_metric);
    assert_eq!(status["labelValueCountByLabelName"][0], json!({"name": "job", "value": 3}));
    assert_eq!(status["seriesCountByLabelValuePair"][0]["name"], "__name__=up");
    let flags = server.data("/api/v1/status/flags");
    assert_eq!(flags["storage.tsdb.retention.time"], "3d");
    assert_eq!(flags["web.enable-remote-write-receiver"], "true");
    let info = server.data("/api/v1/status/runtimeinfo");
    assert_eq!(info["storageRetention"], "3d");
    assert!(info["startTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.data("/api/v1/status/tsdb/blocks"), json!({"blocks": []}));
    assert_eq!(server.data("/api/v1/status/walreplay")["current"], 0);
}

#[test]
fn exemplars_are_found() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--enable-feature=exemplar-storage"]);
    let now = now_ms() / 1000 * 1000 + 479;
    let mut series = floats(&[("__name__", "hits"), ("job", "a")], &[(now, 1.0)]);
    series.exemplars = [(now - 1000, 6.0), (now, 0.25)]
        .map(|(timestamp, value)| v1::Exemplar {
            labels: labels(&[("trace_id", "EpTxMJ40fUus7aGY")]),
            value,
            timestamp,
        })
        .to_vec();
    let request = v1::WriteRequest { timeseries: vec![series], metadata: Vec::new() };
    assert_eq!(post(&server, V1, &request.encode_to_vec()).status, 204);
    let found = server.data("/api/v1/query_exemplars?query=hits");
    let trace = json!({"trace_id": "EpTxMJ40fUus7aGY"});
    let seconds = now as f64 / 1000.0;
    assert_eq!(
        found,
        json!([{
            "seriesLabels": {"__name__": "hits", "job": "a"},
            "exemplars": [
                {"labels": trace, "value": "6", "timestamp": seconds - 1.0},
                {"labels": trace, "value": "0.25", "timestamp": seconds},
            ],
        }])
    );
    assert_eq!(server.data("/api/v1/query_exemplars?query=hits{job=%22b%22}"), json!([]));
    let late = format!("/api/v1/query_exemplars?query=hits&start={seconds}");
    assert_eq!(server.data(&late)[0]["exemplars"].as_array().unwrap().len(), 1);
}
