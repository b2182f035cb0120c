//! Views see whole commits, and none that come later.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{HeadOptions, Sample};
use super::{Fixture, labels, samples};

#[test]
fn a_view_stands_still() {
    let fixture = Fixture::new(HeadOptions::default());
    let all: Vec<(i64, f64)> = (0..500).map(|n| (n * 15_000, n as f64)).collect();
    let mut views = Vec::new();
    for (n, sample) in all.iter().enumerate() {
        if n % 37 == 0 {
            views.push((n, fixture.view()));
        }
        fixture.floats("a", &[*sample]);
        fixture.floats("b", &[*sample]);
    }
    for (n, view) in &views {
        for name in ["a", "b"] {
            assert_eq!(samples(view, name).len(), *n, "{name}");
        }
    }
    assert_eq!(samples(&fixture.view(), "a").len(), 500);
    // Once it is closed nothing is kept for it.
    let last = views.pop().expect("a view");
    drop(views);
    fixture.floats("a", &[(500 * 15_000, 1.0)]);
    assert_eq!(samples(&last.1, "a").len(), last.0);
}

#[test]
fn series_that_come_later_are_not_seen() {
    let fixture = Fixture::new(HeadOptions::default());
    fixture.floats("a", &[(1, 1.0)]);
    let view = fixture.view();
    fixture.floats("b", &[(1, 1.0)]);
    let mut labels = Vec::new();
    assert!(view.labels(0, &mut labels));
    assert!(!view.labels(1, &mut labels));
    assert!(samples(&view, "b").is_empty());
    assert_eq!(view.label_values("__name__"), ["a"]);
    assert_eq!(view.label_names(), ["__name__", "job"]);
    let symbols: Vec<&str> = view.symbols_sorted().iter().map(|symbol| symbol.0).collect();
    assert_eq!(symbols, ["__name__", "a", "job", "test"]);
    assert_eq!(fixture.view().label_values("__name__"), ["a", "b"]);
}

#[test]
fn commits_are_seen_whole_while_they_run() {
    let fixture = Fixture::new(HeadOptions::default());
    let names: Vec<String> = (0..600).map(|n| format!("s{n}")).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for t in 1..400 {
                let mut appender = fixture.head.appender();
                for name in &names {
                    appender.append(None, &labels(name), Sample::float(t, 1.0)).expect("taken");
                }
                appender.commit().expect("the log takes it");
            }
            stop.store(true, Ordering::Release);
        });
        let mut seen = 0;
        while !stop.load(Ordering::Acquire) {
            let view = fixture.view();
            let counts = [0, 255, 256, 599].map(|n| samples(&view, &names[n]).len());
            assert_eq!(counts, [counts[0]; 4]);
            assert!(counts[0] >= seen);
            seen = counts[0];
        }
    });
    assert_eq!(fixture.samples("s599").len(), 399);
}
