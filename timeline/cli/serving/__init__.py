"""The HTTP API: `app.make_app` makes it of a client. `docs/http.md` shows it in use.

`guard` says who may ask, `problems` what is wrong, `models` what is answered; the rest are the routes.
"""
