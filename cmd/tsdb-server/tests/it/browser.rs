//! The page at `/` in headless Chromium, as wide as a phone.
//!
//! Without Chromium it is skipped aloud; `TSDB_JUDGES=required` makes that a failure. With
//! `TSDB_SCREENSHOTS=DIR` a picture goes there, for eyes.
//!
//! ```text
//!   stdin of sh ──> descriptor 3 ──┐ DevTools protocol: JSON, each message ended by a zero
//!   stdout      <── descriptor 4 <─┘
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::exchange::{floats, now_ms, write_v1};
use crate::server::{TestServer, dir};

/// How long the page may take to show something.
const SHOWN_WAIT: Duration = Duration::from_secs(60);
const WIDTH: u64 = 390;

/// A page in a browser that is killed when it is dropped.
pub(crate) struct Page {
    browser: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    calls: u64,
    /// What the page has complained of.
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Page {
    /// `None`: there is no Chromium.
    pub(crate) fn open(url: &str) -> Option<Self> {
        if Command::new("chromium").arg("--version").output().is_err() {
            let required = std::env::var("TSDB_JUDGES").is_ok_and(|value| value == "required");
            assert!(!required, "chromium is required, and not there");
            let line = b"SKIPPED, the page was not looked at: there is no chromium\n";
            let _ = std::io::stderr().write_all(line);
            return None;
        }
        let profile = dir();
        // No name resolves: the page has to do with this server alone.
        let script = "exec chromium --headless=new --no-sandbox --disable-gpu --no-first-run \
            --disable-dev-shm-usage --disable-background-networking \
            --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --user-data-dir=\"$0\" \
            --remote-debugging-pipe 3<&0 4>&1 1>/dev/null 0</dev/null";
        let mut browser = Command::new("sh")
            .args(["-c", script])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = browser.stdin.take().unwrap();
        let from = BufReader::new(browser.stdout.take().unwrap());
        let mut page = Self {
            browser,
            to,
            from,
            session: String::new(),
            calls: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = page.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = page.call("Target.attachToTarget", attach);
        page.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.call(domain, json!({}));
        }
        let size = json!({"width": WIDTH, "height": 844, "deviceScaleFactor": 1, "mobile": true});
        page.call("Emulation.setDeviceMetricsOverride", size);
        page.call("Page.navigate", json!({"url": url}));
        Some(page)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            assert_eq!(bytes.pop(), Some(0), "the browser has ended");
            let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
            if answer["id"] == self.calls {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].take();
            }
            let kind = answer["method"].as_str().unwrap_or_default();
            if matches!(kind, "Runtime.exceptionThrown" | "Log.entryAdded") {
                self.complaints.push(answer["params"].to_string());
            }
        }
    }

    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let mut result = self.call("Runtime.evaluate", params);
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.value(expression) != json!(true) {
            if begun.elapsed() > SHOWN_WAIT {
                let text = self.value("document.body.innerText");
                panic!("{expression} does not come true: {text}, {:?}", self.complaints);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn keep_screenshot(&mut self, name: &str) {
        let Some(to) = std::env::var_os("TSDB_SCREENSHOTS") else { return };
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", params);
        let picture = picture["data"].as_str().unwrap();
        let picture = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(std::path::Path::new(&to).join(name), picture).unwrap();
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if self.browser.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

#[test]
fn the_page_shows_what_there_is_on_a_phone() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--storage.tsdb.min-block-duration=1m"]);
    let Some(mut page) = Page::open(&format!("http://{}/", server.address)) else { return };
    page.wait_for("document.getElementById('state').textContent.startsWith('version ')");
    page.wait_for("document.getElementById('span').textContent === 'empty'");
    // What comes in later is shown without a reload.
    page.value("window.isTheSame = true");
    let from = now_ms() - 300_000;
    for step in 0..60 {
        let sample = [(from + step * 5000, step as f64)];
        let series =
            ["a", "b", "c"].map(|job| floats(&[("__name__", "up"), ("job", job)], &sample));
        assert_eq!(write_v1(&server, series.to_vec()).status, 204);
    }
    page.wait_for("document.getElementById('series').textContent === '3'");
    page.wait_for("document.querySelectorAll('#timeline rect.block').length > 0");
    page.wait_for("document.querySelectorAll('#timeline rect.head').length === 1");
    assert_eq!(page.value("window.isTheSame"), true);
    let titles = page.value("document.querySelector('#timeline rect.block title').textContent");
    assert!(titles.as_str().unwrap().contains("3 series"), "{titles}");
    let summary = page.value("document.getElementById('blocks-summary').textContent");
    assert!(summary.as_str().unwrap().ends_with("retention 15d"), "{summary}");
    assert_eq!(page.value("document.querySelectorAll('#memory figure').length > 1"), true);
    page.wait_for("/none at work|left|of/.test(document.getElementById('compaction').textContent)");
    let letters = "document.querySelector('#timeline text').getBoundingClientRect().height > 8";
    assert_eq!(page.value(letters), true, "what is said of the time line is too small to read");
    // Nothing reaches out at the right.
    assert_eq!(page.value("window.innerWidth"), WIDTH);
    assert_eq!(page.value("document.documentElement.scrollWidth"), WIDTH);
    let wide = "[...document.querySelectorAll('body *')].filter(
        (one) => one.getBoundingClientRect().right > window.innerWidth + 0.5).length";
    assert_eq!(page.value(wide), 0);
    page.keep_screenshot("page-390.png");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
    // A server that is gone is told as such.
    drop(server);
    page.wait_for("document.getElementById('state').textContent.startsWith('no news')");
}
