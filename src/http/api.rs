//! `/api/v1`: what the node knows, as JSON and as events; `/metrics`, `/healthz`, `/readyz`.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use protocol::StreamId;

use super::events::{self, Events};
use super::{Site, refuse};

/// Describes all of this.
const OPENAPI: &str = include_str!("openapi.json");

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::scope("/api/v1")
            .route("/state", web::get().to(state))
            .route("/chain", web::get().to(chain))
            .route("/payments", web::get().to(payments))
            .route("/events", web::get().to(follow))
            .route("/streams/{stream}/explain", web::get().to(explain))
            .route("/openapi.json", web::get().to(openapi))
            .default_service(web::to(unknown)),
    );
    app.route("/metrics", web::get().to(metrics));
    app.route("/healthz", web::get().to(healthy));
    app.route("/readyz", web::get().to(ready));
}

async fn state(site: web::Data<Site>) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(site.view.state())
}

async fn chain(site: web::Data<Site>) -> HttpResponse {
    match site.view.chain() {
        Some(chain) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(chain),
        None => refuse(HttpResponse::NotFound(), "this node follows no chain: give it a [chain] section"),
    }
}

async fn payments(site: web::Data<Site>) -> HttpResponse {
    match site.view.payments() {
        Some(sums) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(sums),
        None => refuse(
            HttpResponse::NotFound(),
            "this node neither pays nor is paid: that takes a [chain] section, and stake or a deposit",
        ),
    }
}

async fn explain(stream: web::Path<String>, site: web::Data<Site>) -> HttpResponse {
    let id: StreamId = match stream.parse() {
        Ok(id) => id,
        Err(e) => return refuse(HttpResponse::BadRequest(), e),
    };
    let traces = site.view.traces(&id);
    if traces.is_empty() && !site.library.streams().iter().any(|stream| stream.id == id) {
        return refuse(HttpResponse::NotFound(), format!("stream {id} is not known here"));
    }
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(traces)
}

async fn follow(events: web::Data<Events>) -> HttpResponse {
    match events.follow() {
        Some(stream) => HttpResponse::Ok()
            .content_type("text/event-stream")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("X-Accel-Buffering", "no"))
            .streaming(stream),
        None => {
            let why = format!("{} pages follow this node already: close one", events::FOLLOWERS);
            refuse(HttpResponse::ServiceUnavailable(), why)
        }
    }
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

async fn metrics(site: web::Data<Site>) -> HttpResponse {
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().content_type(format).body(site.view.metrics())
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(site: web::Data<Site>) -> HttpResponse {
    match site.view.ready() {
        Ok(()) => HttpResponse::Ok().content_type("text/plain").body("ok\n"),
        Err(why) => refuse(HttpResponse::ServiceUnavailable(), why),
    }
}

async fn unknown() -> HttpResponse {
    refuse(HttpResponse::NotFound(), "no such endpoint: see /api/v1/openapi.json")
}
