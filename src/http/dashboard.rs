//! The page at `/`, embedded in the program.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use rust_embed::Embed;

use super::refuse;

/// `dashboard/dist`, as `make dashboard` builds it.
#[derive(Embed)]
#[folder = "dashboard/dist"]
struct Dist;

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/", web::get().to(page));
    app.default_service(web::get().to(file));
}

async fn page() -> HttpResponse {
    answer("index.html")
}

async fn file(request: actix_web::HttpRequest) -> HttpResponse {
    answer(request.path().trim_start_matches('/'))
}

fn answer(path: &str) -> HttpResponse {
    let Some(found) = Dist::get(path) else {
        return refuse(
            HttpResponse::NotFound(),
            "nothing is here: the page is at /, streams are below /live/",
        );
    };
    // Names in assets/ change with their contents.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    HttpResponse::Ok()
        .content_type(content_type(path))
        .insert_header((header::CACHE_CONTROL, caching))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .body(found.data.into_owned())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
