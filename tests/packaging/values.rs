//! What the chart's schema refuses, before anything reaches a cluster, and which version the charts are.

use xtask::chart_tools::ChartTools;
use xtask::process::temporary_directory;

use super::{Ended, outcome, yaml};

const CHART: &str = "charts/shared-mailbox-operator";

#[test]
fn values_that_do_not_exist_or_make_no_sense_are_refused_by_name() {
    let Some(tools) = ChartTools::for_tests().unwrap() else {
        return;
    };
    let home = temporary_directory("helm").unwrap();
    let cases = [
        ("replicas=3", "replicas"),
        ("image.tags=v1", "tags"),
        ("image.repository=ghcr.io/a/b:v1", "/image/repository"),
        ("image.digest=v1", "/image/digest"),
        ("credentials.secretName=app", "secretName"),
        ("credentials.secretNames={A_b}", "/credentials/secretNames/0"),
        ("proxy.httpsProxy=proxy.contoso.com:3128", "/proxy/httpsProxy"),
        (
            "proxy.httpsProxy=http://me:secret@proxy:3128",
            "/proxy/httpsProxy",
        ),
        ("log.format=xml", "/log/format"),
        ("port=0", "/port"),
        (
            "allowEndpointOverrides={https://host}",
            "/allowEndpointOverrides/0",
        ),
        (
            "networkPolicy.egressCIDRs={10.0.0.7}",
            "/networkPolicy/egressCIDRs/0",
        ),
        ("simulatedTenant.enabled=maybe", "/simulatedTenant/enabled"),
    ];
    for (value, named) in cases {
        let Ended { succeeded, said } =
            outcome(tools.helm(&home).args(["template", "x", CHART, "--set", value]));
        assert!(!succeeded && said.contains(named), "{value}: {said}");
    }
    let without_account = ["--set", "serviceAccount.create=false"];
    let Ended { succeeded, said } = outcome(
        tools
            .helm(&home)
            .args(["template", "x", CHART])
            .args(without_account),
    );
    assert!(
        !succeeded && said.contains("serviceAccount.name is needed"),
        "{said}"
    );
    // A parent chart may give these to any chart.
    let parent = ["--set", "global.x=y,enabled=true"];
    let Ended { succeeded, said } = outcome(tools.helm(&home).args(["template", "x", CHART]).args(parent));
    assert!(succeeded, "{said}");
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn the_charts_have_the_version_of_the_operator_that_they_run() {
    for chart in ["shared-mailbox-operator", "shared-mailbox-operator-crds"] {
        let chart = yaml(&format!("charts/{chart}/Chart.yaml"));
        for field in ["version", "appVersion"] {
            assert_eq!(
                chart[field],
                env!("CARGO_PKG_VERSION"),
                "{field} of {}",
                chart["name"]
            );
        }
    }
}
