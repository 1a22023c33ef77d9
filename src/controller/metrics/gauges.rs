//! Gauges that are read anew at each scrape instead of being kept.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

/// One metric with its present values by label.
pub struct GaugeFamily {
    pub name: &'static str,
    pub help: &'static str,
    pub rows: Vec<(Labels, f64)>,
}

pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

impl GaugeFamily {
    pub fn new(name: &'static str, help: &'static str, rows: Vec<(Labels, f64)>) -> Self {
        Self { name, help, rows }
    }

    /// A metric without labels.
    pub fn single(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, help, vec![(Labels::new(), value)])
    }
}

/// Asks for families at each scrape.
pub struct Gauges<F>(F);

impl<F> Gauges<F>
where
    F: Fn() -> Vec<GaugeFamily> + Send + Sync + 'static,
{
    pub fn new(read: F) -> Self {
        Self(read)
    }
}

impl<F> fmt::Debug for Gauges<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl<F> Collector for Gauges<F>
where
    F: Fn() -> Vec<GaugeFamily> + Send + Sync + 'static,
{
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for GaugeFamily { name, help, rows } in (self.0)() {
            // A family without a row would be a name without a value.
            if rows.is_empty() {
                continue;
            }
            let mut family = encoder.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?;
            for (labels, value) in rows {
                let labels = labels.as_slice();
                if labels.is_empty() {
                    family.encode_gauge(&value)?;
                } else {
                    family.encode_family(&labels)?.encode_gauge(&value)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn values_are_those_of_the_moment_and_nothing_is_reported_of_an_empty_family() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Gauges::new(|| {
            let row = |lane: &'static str, value| (vec![("lane", lane.into())], value);
            vec![
                GaugeFamily::new("depth", "Waiting", vec![row("edit", 2.0), row("sweep", 0.0)]),
                GaugeFamily::new("nobody", "Nothing", Vec::new()),
                GaugeFamily::single("up", "Whether it is up", 1.0),
            ]
        })));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(
            text,
            "# HELP depth Waiting.\n# TYPE depth gauge\ndepth{lane=\"edit\"} 2.0\ndepth{lane=\"sweep\"} 0.0\n\
             # HELP up Whether it is up.\n# TYPE up gauge\nup 1.0\n# EOF\n"
        );
    }
}
