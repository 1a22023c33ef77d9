//! Definitions of custom resources as objects of their own.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Discovery, ResourceExt as _};
use serde_json::{Value, json};

use super::admission::depots;
use super::bench::{Bench, GROUP, RawAnswer, depot_definition, eventually, install};

pub async fn a_definition_is_established_and_discovered(bench: Bench) {
    let definitions: Api<CustomResourceDefinition> = Api::all(bench.client.clone());
    let name = format!("parcels.{GROUP}");
    await_condition(definitions.clone(), &name, is_crd_established())
        .await
        .unwrap();
    let definition = definitions.get(&name).await.unwrap();
    assert_eq!(
        definition.status.unwrap().stored_versions,
        Some(vec!["v1".to_owned()])
    );
    let discovery = Discovery::new(bench.client.clone())
        .filter(&[GROUP])
        .run()
        .await
        .unwrap();
    let group = discovery.get(GROUP).expect("the group is discovered");
    let (resource, capabilities) = group.recommended_kind("Parcel").expect("the kind is discovered");
    assert_eq!(
        (resource.plural.as_str(), resource.version.as_str()),
        ("parcels", "v1")
    );
    assert!(capabilities.supports_operation("watch"));
    let RawAnswer { code, body: groups } = bench
        .raw("GET", &format!("/apis/{GROUP}/v1"), "", &Value::Null)
        .await;
    let names: Vec<&str> = groups["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|resource| resource["name"].as_str())
        .collect();
    assert_eq!(code, 200);
    assert!(
        names.contains(&"parcels") && names.contains(&"parcels/status"),
        "{names:?}"
    );
}

pub async fn a_deleted_definition_takes_its_objects_along(bench: Bench) {
    install(
        &bench.client,
        depot_definition("cellars", &json!({"type": "integer"})),
    )
    .await;
    let cellars = depots(&bench, "cellars");
    let body = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Cellar",
        "metadata": {"name": "a", "finalizers": ["example.com/x"]},
    });
    let mut held = cellars
        .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
        .await
        .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(bench.client.clone());
    let name = format!("cellars.{GROUP}");
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually("its objects are marked", || async {
        cellars
            .get("a")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    })
    .await;
    assert!(
        definitions
            .get(&name)
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    held = cellars.get("a").await.unwrap_or(held);
    held.finalizers_mut().clear();
    cellars.replace("a", &PostParams::default(), &held).await.unwrap();
    eventually("the definition is gone", || async {
        definitions.get_opt(&name).await.unwrap().is_none()
    })
    .await;
    let path = format!("/apis/{GROUP}/v1/cellars");
    eventually("nothing is served", || async {
        bench.raw("GET", &path, "", &Value::Null).await.code == 404
    })
    .await;
}
