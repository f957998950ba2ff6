//! Counters, gauges and histograms, shown as Prometheus text.
//!
//! A handle is made once, where its owner is made, and costs an atomic addition to use; labels are fixed
//! then. It does not know who asks, nor what is measured.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Most series of one process. Handles beyond work and are not shown; their number is.
const SERIES_MAX: usize = 4096;
/// Upper bounds for durations of calls, seconds: fine enough for what a proxy adds.
pub const SECONDS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0,
    5.0, 30.0, 120.0,
];

/// All metrics of a process. Clones are the same.
#[derive(Clone, Default)]
pub struct Metrics {
    /// Held while a handle is made and while all are shown, never while one is used.
    families: Arc<Mutex<Families>>,
    /// Asked whenever all are shown. Locked for a look.
    asked: Arc<Mutex<Vec<Sampler>>>,
}

/// Sets what is only known when somebody asks.
type Sampler = Arc<dyn Fn(&Metrics) + Send + Sync>;

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metrics").field(&self.families).finish()
    }
}

#[derive(Debug, Default)]
struct Families {
    by_name: BTreeMap<&'static str, Family>,
    series: usize,
    unshown: u64,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    /// By their labels, as shown.
    series: BTreeMap<String, Series>,
}

#[derive(Debug, Clone)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter with this name and these labels; made when first asked for. Names end in `_total`.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Counter {
        match self.series(name, help, labels, || Series::Counter(Counter::default())) {
            Series::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge with this name and these labels; made when first asked for.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        match self.series(name, help, labels, || Series::Gauge(Gauge::default())) {
            Series::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram with this name and these labels; made when first asked for. `bounds` rise; those of
    /// the first to ask count.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds: &'static [f64],
    ) -> Histogram {
        match self.series(name, help, labels, || {
            Series::Histogram(Histogram::new(bounds))
        }) {
            Series::Histogram(histogram) => histogram,
            _ => Histogram::new(bounds),
        }
    }

    /// Has `sampler` called whenever all are shown: for numbers that somebody else keeps.
    pub fn ask(&self, sampler: impl Fn(&Self) + Send + Sync + 'static) {
        self.asked.lock().push(Arc::new(sampler));
    }

    /// Everything, as Prometheus text (version 0.0.4).
    pub fn render(&self) -> String {
        // Samplers may ask for more to be asked.
        let asked = self.asked.lock().clone();
        for sampler in asked {
            sampler(self);
        }
        let families = self.families.lock();
        let mut out = String::new();
        for (name, family) in &families.by_name {
            family.render(name, &mut out);
        }
        if families.unshown > 0 {
            let name = "gatehouse_metrics_unshown";
            let _ = writeln!(
                out,
                "# HELP {name} Series beyond the limit.\n# TYPE {name} gauge"
            );
            let _ = writeln!(out, "{name} {}", families.unshown);
        }
        out
    }

    fn series(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        new: impl FnOnce() -> Series,
    ) -> Series {
        let labels = shown(labels);
        let mut families = self.families.lock();
        let found = families
            .by_name
            .get(name)
            .and_then(|family| family.series.get(&labels));
        if let Some(series) = found {
            return series.clone();
        }
        let series = new();
        if families.series >= SERIES_MAX {
            families.unshown += 1;
            return series;
        }
        families.series += 1;
        let empty = || Family {
            help,
            series: BTreeMap::new(),
        };
        let family = families.by_name.entry(name).or_insert_with(empty);
        family.series.insert(labels, series.clone());
        series
    }
}

impl Family {
    fn render(&self, name: &str, out: &mut String) {
        let kind = match self.series.values().next() {
            Some(Series::Counter(_)) => "counter",
            Some(Series::Gauge(_)) => "gauge",
            Some(Series::Histogram(_)) => "histogram",
            None => return,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", self.help);
        for (labels, series) in &self.series {
            match series {
                Series::Counter(counter) => {
                    let _ = writeln!(out, "{name}{} {}", braced(labels), counter.get());
                }
                Series::Gauge(gauge) => {
                    let _ = writeln!(out, "{name}{} {}", braced(labels), gauge.get());
                }
                Series::Histogram(histogram) => histogram.render(name, labels, out),
            }
        }
    }
}

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// `more` more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// For numbers that are counted elsewhere: what it stands at.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it stands at.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// `more` more, or less.
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What it stands at.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many observations fell below each of some bounds.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One for each bound and one for what is beyond; each observation is counted in one of them.
    counts: Vec<AtomicU64>,
    /// Nanounits: whole numbers add up without a lock.
    sum_nano: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets {
            bounds,
            counts,
            sum_nano: AtomicU64::new(0),
        }))
    }

    /// Counts a duration, in seconds.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.0.bounds.partition_point(|bound| *bound < seconds);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nano = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum_nano.fetch_add(nano, Ordering::Relaxed);
    }

    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bucket, bound) in self.0.counts.iter().zip(self.0.bounds) {
            count += bucket.load(Ordering::Relaxed);
            let _ = writeln!(
                out,
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"
            );
        }
        count += self.0.counts[self.0.bounds.len()].load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        let sum = self.0.sum_nano.load(Ordering::Relaxed) as f64 / 1e9;
        let braced = braced(labels);
        let _ = writeln!(
            out,
            "{name}_sum{braced} {sum}\n{name}_count{braced} {count}"
        );
    }
}

fn shown(labels: &[(&str, &str)]) -> String {
    let escaped = |value: &str| {
        value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
        .collect();
    pairs.join(",")
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_as_prometheus_reads_it() {
        let metrics = Metrics::new();
        let labels = [("decision", "deny"), ("rule", "a\"b")];
        metrics.counter("calls_total", "Calls.", &labels).add(2);
        metrics.counter("calls_total", "Calls.", &labels).add_one();
        metrics.gauge("streams", "Open streams.", &[]).add(-1);
        let seconds =
            metrics.histogram("took_seconds", "How long.", &[("hop", "edge")], &[0.1, 1.0]);
        for ms in [50, 100, 500, 5000] {
            seconds.observe(Duration::from_millis(ms));
        }
        assert_eq!(
            metrics.render(),
            "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
             calls_total{decision=\"deny\",rule=\"a\\\"b\"} 3\n\
             # HELP streams Open streams.\n# TYPE streams gauge\nstreams -1\n\
             # HELP took_seconds How long.\n# TYPE took_seconds histogram\n\
             took_seconds_bucket{hop=\"edge\",le=\"0.1\"} 2\n\
             took_seconds_bucket{hop=\"edge\",le=\"1\"} 3\n\
             took_seconds_bucket{hop=\"edge\",le=\"+Inf\"} 4\n\
             took_seconds_sum{hop=\"edge\"} 5.65\ntook_seconds_count{hop=\"edge\"} 4\n"
        );
    }

    #[test]
    fn series_are_bounded_and_what_is_left_out_is_counted() {
        let metrics = Metrics::new();
        for n in 0..SERIES_MAX + 3 {
            metrics
                .counter("n_total", "N.", &[("n", &n.to_string())])
                .add_one();
        }
        let text = metrics.render();
        assert!(text.ends_with("gatehouse_metrics_unshown 3\n"));
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("n_total{"))
                .count(),
            SERIES_MAX
        );
    }
}
