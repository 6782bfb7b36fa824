"""Signing in to the page with the token, and out: a form that works by itself, without a script."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from html import escape
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from timeline.cli.serving.guard import COOKIE, LOGIN, LOGOUT
from timeline.cli.serving.sessions import LASTS, Sessions, Tries

HOME = "/"
#: Who came so did not come from another site.
OURS = ("none", "same-origin")
#: Characters of an address that one goes on to.
MAX_NEXT = 8_000
#: Bytes of the form that are read.
MAX_FORM = 10_000
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 90vh; margin: 0; }
form { display: grid; gap: 0.75rem; width: min(22rem, calc(100vw - 2rem)); }
h1 { font-size: 1.3rem; margin: 0; }
p { margin: 0; opacity: 0.8; font-size: 0.9rem; overflow-wrap: anywhere; }
label { font-weight: 600; }
code { white-space: nowrap; }
input, button { font: inherit; padding: 0.5rem 0.75rem; border-radius: 6px; border: 1px solid #8888; }
button { background: #1d4ed8; color: #fff; border-color: transparent; cursor: pointer; }
button:hover { background: #1e40af; }
input:focus-visible, button:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px; }
[role=alert] { color: #b91c1c; opacity: 1; font-weight: 600; }
@media (prefers-color-scheme: dark) { [role=alert] { color: #f87171; } }
"""
_DIGEST = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: It loads nothing at all, and sends its form to nobody else. Its form says where it is from, by which it is
#: known not to be another site's.
HEADERS = {
    "content-security-policy": "default-src 'none'; img-src data:; form-action 'self'; base-uri 'none'; "
    f"frame-ancestors 'none'; style-src 'sha256-{_DIGEST}'",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in - Timeline</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
)
FORM = """{head}<style>{style}</style></head><body><form method="post" action="{action}">
<h1>Timeline</h1>
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
{trouble}<button>Sign in</button>
<p>The token is what <code>timeline serve</code> was given: <code>--token-file</code>,
or <code>TIMELINE_TOKEN</code>.</p>
</form></body></html>"""


def make_login(token: str | None, sessions: Sessions | None, tries: Tries | None = None) -> Starlette:
    """The form as an app; without a token nobody has to sign in."""
    tries = tries or Tries()

    async def form(request: Request) -> Response:
        ahead = own_path(request.query_params.get("next"))
        if sessions is None or sessions.holds(request.cookies.get(COOKIE)):
            return RedirectResponse(ahead, 303)
        if "again" not in request.query_params and request.headers.get("sec-fetch-site") not in OURS:
            # A browser keeps the cookie back where a link of another site led here: it comes once more, and
            # then from us.
            return _page(f'{HEAD}<meta http-equiv="refresh" content="0; url={_at(ahead)}"></head></html>')
        return _form(ahead)

    async def sign_in(request: Request) -> Response:
        ahead = own_path(request.query_params.get("next"))
        body = (await request.body())[:MAX_FORM].decode("utf-8", "replace")
        given = parse_qs(body).get("token", [""])[0].strip()
        if sessions is None or token is None:
            return RedirectResponse(ahead, 303)
        address = request.client.host if request.client else ""
        if wait := tries.wait(address):
            said = f"Too many wrong tokens came from here: try again in {wait} s."
            return _form(ahead, said, 429, {"retry-after": str(wait)})
        if not hmac.compare_digest(given.encode(), token.encode()):
            tries.failed(address)
            return _form(ahead, "That is not the token of this service.", 403)
        answer = RedirectResponse(ahead, 303, HEADERS)
        # The browser says how it came here; a proxy with TLS in front need not.
        secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
        answer.set_cookie(
            COOKIE, sessions.begin(), max_age=LASTS, httponly=True, samesite="strict", secure=secure
        )
        return answer

    async def sign_out(request: Request) -> Response:
        if sessions is not None:
            sessions.end(request.cookies.get(COOKIE))
        answer = RedirectResponse(LOGIN, 303, HEADERS)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return Starlette(
        routes=[
            Route(LOGIN, form),
            Route(LOGIN, sign_in, methods=["POST"]),
            Route(LOGOUT, sign_out, methods=["POST"]),
        ]
    )


def own_path(wanted: str | None) -> str:
    """Where one goes on to: a path of ours, whatever is wanted.

    >>> own_path("/t/cirr?key=a&at=8s")
    '/t/cirr?key=a&at=8s'
    >>> {own_path(other) for other in ("//evil.example", "/\\\\evil.example", "https://evil.example", None)}
    {'/'}
    """
    if wanted is None or len(wanted) > MAX_NEXT or not wanted.startswith("/") or wanted.startswith("//"):
        return HOME
    # Browsers leave out tabs and line ends, and take \ for /.
    if "\\" in wanted or not (wanted.isascii() and wanted.isprintable()) or " " in wanted:
        return HOME
    return HOME if wanted.partition("?")[0] in (LOGIN, LOGOUT) else wanted


def _at(ahead: str) -> str:
    """The form's address."""
    return escape(f"{LOGIN}?again=1&next={quote(ahead, safe='')}")


def _form(ahead: str, trouble: str = "", status: int = 200, more: dict[str, str] | None = None) -> Response:
    said = f'<p role="alert">{escape(trouble)}</p>' if trouble else ""
    return _page(FORM.format(head=HEAD, style=STYLE, action=_at(ahead), trouble=said), status, more)


def _page(text: str, status: int = 200, more: dict[str, str] | None = None) -> Response:
    return HTMLResponse(text, status, HEADERS | (more or {}))
