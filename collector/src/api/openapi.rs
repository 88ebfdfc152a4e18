//! `/healthz` and `/v1/openapi.json`, and the document itself, made from the routes.
//!
//! Knows: how the parts of [`ROUTES`](super::ROUTES) become one router and one document, and what is said for
//! every operation alike. Does not know: any resource.

use super::problem::ProblemBody;
use super::{ApiError, App, Resource};
use crate::work::once;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What is said once for the whole API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Muster", description = "The register of machines, and the desk that looks after them."),
    components(schemas(ProblemBody))
)]
struct Head;

/// A JSON object whose fields the description tells: the shapes of the agents' protocol are in crate `shared`.
#[derive(utoipa::ToSchema)]
pub struct Quoted {}

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(document))
}

/// Whether the collector answers.
#[utoipa::path(get, path = "/healthz", security(()), responses((status = 200, body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1")))]
async fn document(State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    Ok(([(header::CONTENT_TYPE, "application/json")], app.document.clone()))
}

/// The routes of these resources, and their document.
pub fn assemble(resources: &[Resource]) -> (axum::Router<App>, Value) {
    let mut router = axum::Router::new();
    let mut document = serde_json::to_value(Head::openapi()).unwrap_or_default();
    for resource in resources {
        let (routes, part) = (resource.routes)().split_for_parts();
        router = router.merge(routes);
        add(&mut document, resource.name, serde_json::to_value(part).unwrap_or_default());
    }
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "mst_<id>_<secret>_<crc>"},
        "agent": {"type": "mutualTLS"},
    });
    (router, document)
}

/// The whole document: these resources, and the agents' port.
pub fn document_of(resources: &[Resource]) -> Value {
    let (_, mut document) = assemble(resources);
    let (_, part) = super::agent::routes().split_for_parts();
    add(&mut document, "agents' port", serde_json::to_value(part).unwrap_or_default());
    document
}

/// Adds a resource's paths and schemas. Every operation gets its tag, and its failures in one line.
fn add(document: &mut Value, tag: &str, mut part: Value) {
    let failure = json!({
        "description": "What went wrong",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    });
    let items = part["paths"].as_object_mut().into_iter().flatten();
    for operation in items.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten()) {
        operation.1["tags"] = json!([tag]);
        if operation.0 == "post" && operation.1["security"][0]["token"].is_array() {
            takes_key(operation.1);
        }
        operation.1["responses"]["default"] = failure.clone();
    }
    merge(&mut document["paths"], part["paths"].take());
    merge(&mut document["components"]["schemas"], part["components"]["schemas"].take());
}

/// Every POST that a token or an admin may send can be repeated.
fn takes_key(operation: &mut Value) {
    let key = json!({
        "name": once::FIELD,
        "in": "header",
        "required": false,
        "description": "Any text, new for each act. Asked again with the same key and body within 24 hours, nothing \
            is done twice and the answer is the same; with another body it is 422. What was refused may be asked \
            again. A secret is not kept: then the second answer is 409.",
        "schema": {"type": "string", "minLength": 1, "maxLength": once::KEY_BYTES_MAX, "pattern": "^[ -~]+$"},
    });
    match operation["parameters"].as_array_mut() {
        Some(params) => params.push(key),
        None => operation["parameters"] = json!([key]),
    }
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Value::Object(into) = into {
        into.extend(from);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROUTES;
    use super::super::auth::Rules;
    use super::*;
    use axum::http::Method;

    #[test]
    fn every_route_of_the_document_has_a_rule() {
        let document = document_of(ROUTES);
        let rules = Rules::of(&document);
        let mut missing = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("operations").keys() {
                let method: Method = method.to_ascii_uppercase().parse().expect("a method");
                if rules.rule(&method, path).is_none() {
                    missing.push(format!("{method} {path}"));
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new());
    }

    /// What clients are promised. A change is seen in review; `UPDATE_GOLDEN=1` writes it.
    #[test]
    fn the_document_is_the_one_that_was_agreed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let now = serde_json::to_string_pretty(&document_of(ROUTES)).expect("JSON") + "\n";
        if crate::env::os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &now).expect("written");
        }
        let agreed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(agreed == now, "openapi.json is not what the routes say: run `cargo run -p packaging -- golden`");
    }

    #[test]
    fn the_document_names_the_failures_once_for_all() {
        let (_, document) = assemble(ROUTES);
        let operation = &document["paths"]["/healthz"]["get"];
        assert_eq!(operation["tags"], json!(["meta"]));
        assert_eq!(
            operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"],
            "#/components/schemas/ProblemBody"
        );
        assert!(document["components"]["schemas"]["ProblemBody"].is_object());
    }
}
