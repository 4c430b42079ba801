"""The account that a token is of: Cloudflare makes it; a program only reads it."""

from sandbox.model import Body


def describe(account: str) -> Body:
    """The account as the API presents it."""
    return {
        "id": account,
        "name": "Sandbox",
        "type": "standard",
        "settings": {"enforce_twofactor": False, "abuse_contact_email": None},
        "created_on": "2020-01-01T00:00:00.000000Z",
    }
