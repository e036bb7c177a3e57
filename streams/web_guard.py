"""Nothing is written, and nothing is seen without its token, where it has one.

A program sends `Authorization: Bearer TOKEN`. A wall cannot: it is opened once with `?token=TOKEN`,
gets a cookie for it and is sent to the same address without the token. A route that has no rule
is shown to nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_plus

from aiohttp import web
from aiohttp.typedefs import Middleware

from streams.web_access import Access, Surface
from streams.web_answers import json_answer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PARAMETER: Final = "token"
COOKIE_FOR_S: Final = 400 * 86_400
"""The longest that browsers keep one; it begins anew whenever a page is opened."""

METHODS: Final = ("GET", "HEAD")

_KEPT_AS_THEY_ARE: Final = "%!$'()*+,;=:@/?[]"
"""What may stand in a query besides letters, digits and `-._~`."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="dark light">
  {again}<title>floorwatch: token needed</title>
</head>
<body>
  <main>
    <h1>This wallboard needs a token</h1>
    <p>{why}</p>
    <p>Open it once with the token at the end of its address: <code>{example}</code>
    This browser then remembers it. Whoever runs floorwatch here has the token.</p>
    <p><a href="{address}">Try again</a></p>
    <section lang="es">
      <h2>Este panel necesita una clave</h2>
      <p>{why_es}</p>
      <p>Ábralo una vez con la clave al final de su dirección: <code>{example}</code>
      Este navegador la recordará. La tiene quien administra floorwatch aquí.</p>
    </section>
  </main>
</body>
</html>
"""
_WHY: Final = {
    "none": (
        "This browser has shown none so far, or the one it has shown is no longer valid.",
        "Este navegador aún no ha presentado ninguna, o la que presentó ya no es válida.",
    ),
    "wrong": (
        "The token in the address is not a valid one, or no longer.",
        "La clave de la dirección no es válida, o ya no lo es.",
    ),
}


class Rule(NamedTuple):
    """What one route asks for.

    Attributes:
        surface: whose tokens open it; None for everybody.
        is_page: people open it by its address.
        is_of_wall: what opens the wall opens this, too, because the wall asks for it.
    """

    surface: Surface | None
    is_page: bool = False
    is_of_wall: bool = False


class Guard:
    """Lets requests through to their handler, or answers them itself.

    Args:
        access: the tokens.
        rules: of each route, by its path as it was added.
        cookie: name of the wall's cookie. Other installations on the same host have another one:
            a browser sends the cookies of a host to all its ports.
    """

    def __init__(self, access: Access, rules: Mapping[str, Rule], *, cookie: str) -> None:
        self._access = access
        self._rules = rules
        self._cookie = cookie

    def middleware(self) -> Middleware:
        """What an application takes."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return _refuse_writing(request) or await self._answer(request, handler)

        return guard

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is None:  # no such path
            return await handler(request)
        rule = self._rules[resource.canonical]
        if rule.is_page and PARAMETER in request.query:
            return self._exchange(request)
        if rule.surface is None or self._is_admitted(rule, rule.surface, request):
            response = await handler(request)
            cookie = request.cookies.get(self._cookie, "")
            if rule.is_page and self._access.knows_cookie(cookie):
                self._give(response, request, cookie)
            return response
        if rule.is_page:
            return _page(request, "none", comes_by_itself=self._is_led_here(request))
        return json_answer(
            {
                "error": "unauthorized",
                "message": "send the header Authorization: Bearer TOKEN; tokens are in the file "
                f"http.{rule.surface.value}",
            },
            status=401,
            headers={"WWW-Authenticate": 'Bearer realm="floorwatch"'},
        )

    def _is_admitted(self, rule: Rule, surface: Surface, request: web.Request) -> bool:
        token = _bearer(request)
        if self._access.is_open(surface) or self._access.admits(surface, token):
            return True
        if surface is not Surface.WALL and not rule.is_of_wall:
            return False
        cookie = request.cookies.get(self._cookie, "")
        return self._access.admits(Surface.WALL, token) or self._access.knows_cookie(cookie)

    def _is_led_here(self, request: web.Request) -> bool:
        """Whether a browser follows a link of another site, and so keeps our strict cookie back."""
        headers = request.headers
        return (
            self._cookie not in request.cookies
            and headers.get("Sec-Fetch-Site") == "cross-site"
            and headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest") == "document"
        )

    def _exchange(self, request: web.Request) -> web.Response:
        """The cookie for the token in the address, and the way to the address without it."""
        # A plus sign that nobody encoded is read as a space, which no token has.
        tokens = [each.replace(" ", "+") for each in request.query.getall(PARAMETER)]
        cookies = [cookie for each in tokens if (cookie := self._access.cookie_of(each))]
        has_cookie = self._access.knows_cookie(request.cookies.get(self._cookie, ""))
        if not (cookies or has_cookie or self._access.is_open(Surface.WALL)):
            return _page(request, "wrong")
        response = web.Response(
            status=303, headers={"Location": _address(request), "Cache-Control": "no-store"}
        )
        if cookies:
            self._give(response, request, cookies[0])
        return response

    def _give(self, response: web.StreamResponse, request: web.Request, cookie: str) -> None:
        response.set_cookie(
            self._cookie,
            cookie,
            max_age=COOKIE_FOR_S,
            path="/",
            secure=_is_over_tls(request),
            httponly=True,
            samesite="Strict",
        )


def _refuse_writing(request: web.Request) -> web.Response | None:
    if request.method not in METHODS:
        refusal = json_answer(
            {"error": "method_not_allowed", "message": "this service only answers GET and HEAD"},
            status=405,
            headers={"Allow": ", ".join(METHODS)},
        )
    elif request.body_exists:
        refusal = json_answer(
            {"error": "content_too_large", "message": "this service takes no body"}, status=413
        )
    else:
        return None
    if request.body_exists:
        refusal.force_close()  # instead of reading it
    return refusal


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_over_tls(request: web.Request) -> bool:
    """Whether the browser's own connection is encrypted, as far as a proxy in between says so.

    Whoever says so untruly keeps only his own cookie from plain connections.
    """
    outermost = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return request.secure or outermost.lower() == "https"


def _address(request: web.Request) -> str:
    """The address of a page without its token, relative: a proxy may have it under a path."""
    kept = [
        quote(part, safe=_KEPT_AS_THEY_ARE, errors="surrogateescape")
        for part in request.rel_url.raw_query_string.split("&")
        if part and unquote_plus(part.partition("=")[0]) != PARAMETER
    ]
    page = request.path.rpartition("/")[2] or "./"
    return f"{page}?{'&'.join(kept)}" if kept else page


def _page(request: web.Request, why: str, *, comes_by_itself: bool = False) -> web.Response:
    """The page that says what is missing; the same address once more where that will do."""
    address = escape(_address(request))
    again = f'<meta http-equiv="refresh" content="0; url={address}">\n  ' if comes_by_itself else ""
    example = ("?token=" if "?" not in address else "&amp;token=") + "…"
    page = _PAGE.format(
        again=again, address=address, example=example, why=_WHY[why][0], why_es=_WHY[why][1]
    )
    return web.Response(
        body=page.encode(),
        status=401,
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Cache-Control": "no-store",
            "WWW-Authenticate": 'Bearer realm="floorwatch"',
        },
    )
