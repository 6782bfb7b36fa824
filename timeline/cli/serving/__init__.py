"""The HTTP API and the page: `app.make_app` makes them of a client. See `docs/http.md` and `docs/page.md`.

`guard` says who may ask, `problems` what is wrong, `models` what is answered; `page` is for people, the rest
are the routes.
"""
