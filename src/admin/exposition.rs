//! Figures as Prometheus reads them. Their names are what dashboards and alerts hold on to:
//! `docs/src/reference/monitoring.md` lists them.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Observed;
use super::reading::{Dns, Hashing, Process, Reading};
use crate::metrics::Distribution;
use crate::store::figures;

/// How figures are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Prometheus text, version 0.0.4: what everybody reads.
    Text,
    /// OpenMetrics 1.0, for who asks for it, as Prometheus does.
    OpenMetrics,
}

impl Format {
    /// The format that a request wants.
    pub fn wanted(headers: &HeaderMap) -> Format {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let mut accepted = accepted.filter_map(|value| value.to_str().ok());
        if accepted.any(|value| value.contains("application/openmetrics-text")) {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    /// As HTTP names it.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the figures of a daemon.
pub struct Exposition(Registry);

impl Exposition {
    /// Of this one.
    pub fn new(daemon: Arc<dyn Observed>) -> Exposition {
        let mut registry = Registry::with_prefix("outgate");
        registry.register_collector(Box::new(Source(daemon)));
        Exposition(registry)
    }

    /// All of them, as they are now.
    pub fn write(&self, format: Format) -> Result<String, fmt::Error> {
        let mut out = String::new();
        match format {
            Format::Text => prometheus_text::encode(&mut out, &self.0)?,
            Format::OpenMetrics => text::encode(&mut out, &self.0)?,
        }
        Ok(out)
    }
}

/// Reads the figures when they are wanted.
struct Source(Arc<dyn Observed>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.reading(&self.0.reading())
    }
}

type Labels<'a> = [(&'static str, &'a str)];

/// What is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn reading(&mut self, reading: &Reading) -> fmt::Result {
        self.process(&reading.process)?;
        self.gauge(
            "ready",
            "1 while everything works, 0 while not",
            reading.ready,
        )?;
        self.decisions(reading)?;
        self.connections(reading)?;
        self.memories(reading)?;
        self.hashing(&reading.hashing)?;
        if let Some(store) = &reading.store {
            self.store(store)?;
        }
        self.dns(&reading.dns)?;
        let lost = reading.lost_lines.iter();
        let lost = lost.map(|&(log, lines)| ([("log", log)], lines));
        self.counters("log_lines_lost", "Log lines that were not written", lost)
    }

    fn process(&mut self, process: &Process) -> fmt::Result {
        let commit = crate::COMMIT.unwrap_or("unknown");
        let labels = [("version", crate::VERSION), ("commit", commit)];
        let help = "The program that runs; always 1";
        self.gauges("build_info", help, [(&labels[..], 1)])?;
        let mut started = self.0.encode_descriptor(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            None,
            MetricType::Gauge,
        )?;
        started.encode_gauge(&process.started_at)?;
        let known = [
            (
                "process_open_files",
                "Files that are open",
                process.open_files,
            ),
            (
                "process_open_files_limit",
                "Files that may be open",
                process.open_files_limit,
            ),
            (
                "process_resident_memory_bytes",
                "Memory in use",
                process.resident,
            ),
        ];
        for (name, help, value) in known {
            if let Some(value) = value {
                self.gauge(name, help, value)?;
            }
        }
        self.counter(
            "panics",
            "Faults in outgate itself; each has cost one connection",
            process.panics,
        )
    }

    fn decisions(&mut self, reading: &Reading) -> fmt::Result {
        let help =
            "Decisions, as in the decision log: logins, refusals, deferrals, accepted messages";
        let mut family = self
            .0
            .encode_descriptor("decisions", help, None, MetricType::Counter)?;
        for (decided, count) in &reading.decisions {
            let verdict = decided.verdict.to_string();
            let labels: &Labels<'_> = &[
                ("front_end", decided.front_end.id()),
                ("stage", decided.stage.id()),
                ("verdict", &verdict),
                ("reason", decided.reason.id()),
                ("audit", if decided.audit { "true" } else { "false" }),
            ];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        let help = "From a question of Postfix to its answer";
        let mut family =
            self.0
                .encode_descriptor("answer_seconds", help, None, MetricType::Histogram)?;
        for (front_end, spent) in &reading.answers {
            let labels: &Labels<'_> = &[("front_end", front_end.id())];
            histogram(family.encode_family(&labels)?, spent, seconds)?;
        }
        self.counter(
            "messages_near_quota",
            "Accepted messages after which at least 90 % of a quota of their user or account are used",
            reading.near_limit,
        )
    }

    fn connections(&mut self, reading: &Reading) -> fmt::Result {
        let all = reading.connections.iter();
        let open = all.map(|c| ([("front_end", c.front_end)], c.open));
        self.gauges("connections", "Open connections", open)?;
        let all = reading.connections.iter();
        let limits = all.filter_map(|c| Some(([("front_end", c.front_end)], c.limit?)));
        let help = "Connections that may be open; others wait";
        self.gauges("connections_limit", help, limits)
    }

    fn memories(&mut self, reading: &Reading) -> fmt::Result {
        let entries = reading.memories.iter();
        let entries = entries.map(|memory| ([("cache", memory.name)], memory.entries));
        self.gauges("cache_entries", "What is remembered", entries)?;
        let lookups = reading.memories.iter().flat_map(|memory| {
            let labels = |outcome| [("cache", memory.name), ("outcome", outcome)];
            [
                (labels("hit"), memory.hits),
                (labels("miss"), memory.misses),
            ]
        });
        self.counters("cache_lookups", "Look-ups in what is remembered", lookups)
    }

    fn hashing(&mut self, hashing: &Hashing) -> fmt::Result {
        let help = "Passwords that were hashed to compare them";
        self.counter("password_hashes", help, hashing.done)?;
        let help = "Passwords that wait to be hashed; 256 may";
        self.gauge("password_hashes_waiting", help, hashing.waiting)?;
        let help = "Passwords that are being hashed";
        self.gauge("password_hashes_running", help, hashing.running)
    }

    fn store(&mut self, store: &figures::Reading) -> fmt::Result {
        let both = [
            (
                "store_commit_seconds",
                "How long it took to write what was written together, waiting for locks included",
                &store.commits,
                seconds as fn(u64) -> f64,
            ),
            (
                "store_commit_jobs",
                "How many jobs were written together",
                &store.jobs,
                whole as fn(u64) -> f64,
            ),
        ];
        for (name, help, distribution, unit) in both {
            let family = self
                .0
                .encode_descriptor(name, help, None, MetricType::Histogram)?;
            histogram(family, distribution, unit)?;
        }
        self.counter(
            "store_commits_failed",
            "How often what was to be written together was not",
            store.failed,
        )?;
        let help = "Jobs that wait to be written; 65536 may";
        self.gauge("store_jobs_waiting", help, store.waiting)?;
        let charges = store.charges.map(outcome);
        self.counters("charges", "Charges of messages to their quotas", charges)
    }

    fn dns(&mut self, dns: &Dns) -> fmt::Result {
        let help = "Questions to name servers that have ended";
        self.counters("dns_lookups", help, dns.outcomes.map(outcome))?;
        let help = "Questions to name servers that somebody waits for";
        self.gauge("dns_lookups_in_flight", help, dns.in_flight)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(count).encode(encoder)
    }

    fn counters<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counts {
            ConstCounter::new(count).encode(family.encode_family(&labels.as_ref())?)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<u64>) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value.into()).encode(encoder)
    }

    fn gauges<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels.as_ref())?)?;
        }
        Ok(())
    }
}

fn outcome((name, count): (&'static str, u64)) -> ([(&'static str, &'static str); 1], u64) {
    ([("outcome", name)], count)
}

fn seconds(nanoseconds: u64) -> f64 {
    whole(nanoseconds) / 1e9
}

fn whole(value: u64) -> f64 {
    value as f64
}

fn histogram(
    mut encoder: MetricEncoder<'_>,
    distribution: &Distribution,
    unit: impl Fn(u64) -> f64,
) -> fmt::Result {
    let classes = distribution.classes.iter();
    let mut buckets: Vec<(f64, u64)> = classes.map(|&(bound, n)| (unit(bound), n)).collect();
    buckets.push((f64::INFINITY, distribution.beyond));
    let (sum, count) = (unit(distribution.sum), distribution.count());
    encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
