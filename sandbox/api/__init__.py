"""The API door: the clouds' own REST APIs over the model, for official clients and provider plugins.

`route` says what a route is and turns a kind of object into the routes of its life; `linode` and `cloudflare` list the
routes; `door` serves them: tokens, scopes, faults, sizes, errors in that API's own form.
"""
