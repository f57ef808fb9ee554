//! Playlists and segments for players on any page, below `/live/` and, as Livepeer has it, `/stream/`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Resource, Responder, web};
use actors::publisher::Cache;
use protocol::StreamId;

use super::{Site, push, refuse};

/// How long a browser may remember that reading is allowed, seconds.
const PREFLIGHT_AGE: &str = "86400";

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    let read = |path: &str| -> Resource {
        web::resource(path.to_owned())
            .route(web::get().to(stream))
            .route(web::head().to(stream))
            .route(web::method(actix_web::http::Method::OPTIONS).to(preflight))
    };
    app.service(
        read("/live/{stream}/{path:.+}")
            .route(web::put().to(push::receive))
            .route(web::post().to(push::receive))
            .default_service(web::to(not_allowed)),
    );
    app.service(
        web::resource("/stream/{master:[^/]+\\.m3u8}")
            .route(web::get().to(livepeer_master))
            .route(web::head().to(livepeer_master))
            .route(web::method(actix_web::http::Method::OPTIONS).to(preflight)),
    );
    app.service(
        web::resource("/stream/{stream}/{rendition:[^/]+\\.m3u8}")
            .route(web::get().to(livepeer_rendition))
            .route(web::head().to(livepeer_rendition))
            .route(web::method(actix_web::http::Method::OPTIONS).to(preflight)),
    );
    app.service(read("/stream/{stream}/{path:.+}"));
}

async fn stream(path: web::Path<(String, String)>, site: web::Data<Site>) -> HttpResponse {
    let (stream, path) = path.into_inner();
    let resource = stream.parse::<StreamId>().ok().and_then(|id| site.library.resource(&id, &path));
    let Some(resource) = resource else {
        let mut missing = HttpResponse::NotFound();
        cors(&mut missing).insert_header((header::CACHE_CONTROL, "no-store"));
        return refuse(
            missing,
            "there is no such stream, or no such file in it; live segments are kept for a short time",
        );
    };
    let caching = match resource.cache {
        Cache::NoStore => "no-store",
        Cache::Immutable => "public, max-age=31536000, immutable",
    };
    let mut found = HttpResponse::Ok();
    cors(&mut found).insert_header((header::CACHE_CONTROL, caching)).content_type(resource.content_type);
    found.body(resource.body)
}

/// Livepeer's address of a master playlist; those in it are relative to ours.
async fn livepeer_master(name: web::Path<String>) -> HttpResponse {
    moved(name.trim_end_matches(".m3u8"), "master.m3u8")
}

/// Livepeer's address of a rendition's playlist.
async fn livepeer_rendition(path: web::Path<(String, String)>) -> HttpResponse {
    let (stream, file) = path.into_inner();
    let name = file.trim_end_matches(".m3u8");
    if name == "master" {
        return moved(&stream, &file);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.bytes().all(plain) {
        return refuse(HttpResponse::NotFound(), "there is no such rendition");
    }
    moved(&stream, &format!("{name}/index.m3u8"))
}

fn moved(stream: &str, path: &str) -> HttpResponse {
    match stream.parse::<StreamId>() {
        Ok(id) => {
            let mut moved = HttpResponse::TemporaryRedirect();
            cors(&mut moved).insert_header((header::LOCATION, format!("/live/{id}/{path}")));
            moved.finish()
        }
        Err(e) => refuse(HttpResponse::NotFound(), e),
    }
}

async fn preflight() -> HttpResponse {
    let mut allowed = HttpResponse::NoContent();
    cors(&mut allowed)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Range"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE));
    allowed.finish()
}

async fn not_allowed(request: HttpRequest) -> impl Responder {
    let mut answer = HttpResponse::MethodNotAllowed();
    answer.insert_header((header::ALLOW, "GET, HEAD, OPTIONS, PUT, POST"));
    refuse(
        answer,
        format!("{} is not possible here: GET to watch, PUT or POST to push a segment", request.method()),
    )
}

/// Streams are for any page to play.
fn cors(response: &mut actix_web::HttpResponseBuilder) -> &mut actix_web::HttpResponseBuilder {
    response
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Length, Date"))
}
