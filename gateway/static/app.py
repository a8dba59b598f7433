"""The ASGI application that answers with the web client and the documentation."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.envoy.filters import FIELDS_PATH
from gateway.static.assets import Asset, docs_page, resolve
from gateway.static.fields import check_fields

# Scripts, workers and connections of this origin alone. Radix sets styles from scripts; previews and pictures of
# participants come as blobs; a later virtual background needs WebAssembly.
_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "media-src": "'self' blob: mediastream:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}

_PERMISSIONS = (
    "camera",
    "microphone",
    "display-capture",
    "fullscreen",
    "picture-in-picture",
    "screen-wake-lock",
    "autoplay",
)
_REFUSED_PERMISSIONS = ("geolocation", "payment", "usb", "serial", "midi")

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": "; ".join(f"{kind} {sources}" for kind, sources in _SOURCES.items()),
    "permissions-policy": ", ".join(
        [f"{name}=(self)" for name in _PERMISSIONS] + [f"{name}=()" for name in _REFUSED_PERMISSIONS]
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def create_app(assets: Mapping[str, Asset]) -> Starlette:
    """The application for these assets, which answers GET and HEAD, and the check of REST calls' fields for Envoy."""

    async def answer(request: Request) -> Response:
        asset = resolve(assets, request.url.path)
        if asset is None and (page := docs_page(assets, request.url.path)):
            return RedirectResponse(page, 308, SECURITY_HEADERS)
        if asset is None:
            return PlainTextResponse("There is no such file.\n", 404, SECURITY_HEADERS)
        return _response(asset, request)

    async def fields(request: Request) -> Response:
        wrong = check_fields(request.method, request.url.path.removeprefix(FIELDS_PATH), await request.body())
        return PlainTextResponse(wrong, 400) if wrong else Response()

    return Starlette(
        routes=[
            Route(FIELDS_PATH + "/{path:path}", fields, methods=["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]),
            Route("/{path:path}", answer, methods=["GET", "HEAD"]),
        ]
    )


def _response(asset: Asset, request: Request) -> Response:
    headers = {**SECURITY_HEADERS, **asset.headers}
    if asset.headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, headers={**headers, "content-encoding": "gzip"})
    return Response(asset.content, headers=headers)
