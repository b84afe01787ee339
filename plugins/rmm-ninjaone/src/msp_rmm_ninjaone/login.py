"""The login: client credentials for a bearer token."""

from datetime import timedelta

from attrs import frozen

from msp_core.v1 import AdapterEnv, CredentialError, Secret, VendorError
from msp_http.api import Token, TokenRequester

_DEFAULT_LIFETIME_S = 600.0
"""How long a token is used whose lifetime the vendor does not say."""


@frozen
class Login:
    """Gets tokens for one instance. Client credentials come without a refresh token: every login is a new one."""

    env: AdapterEnv
    scope: str

    async def authenticate(self, http: TokenRequester) -> Token:
        """Log in with the client credentials."""
        client_id, client_secret = await credentials(self.env)
        answer = await http.request(
            "POST",
            "/ws/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": client_secret,
                "scope": self.scope,
            },
        )
        said = answer.json()
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token:
            message = f"{answer.request} answered without an access_token."
            raise VendorError(message, suggestion="Check the instance's URL.")
        seconds = said.get("expires_in")
        known = isinstance(seconds, int | float) and 0 < seconds < 10**8
        return Token(
            headers={"Authorization": f"Bearer {token}"},
            lifetime=timedelta(seconds=seconds if known else _DEFAULT_LIFETIME_S),
        )


async def credentials(env: AdapterEnv) -> tuple[str, str]:
    """Return client id and client secret, or both out of `api_key`; raise CredentialError naming what is missing."""
    settings = env.settings
    if settings.api_key is not None and settings.client_id is None:
        return _halves(await env.secret("api_key"), env.instance)
    try:
        client_id = await env.secret("client_id")
        return client_id.reveal(), (await env.secret("client_secret")).reveal()
    except CredentialError as error:
        missing = error
    try:
        return _halves(await env.secret("api_key"), env.instance)
    except CredentialError:
        raise missing from None


def _halves(secret: Secret, instance: str) -> tuple[str, str]:
    client_id, mark, client_secret = secret.reveal().partition(":")
    if not mark or not client_id or not client_secret:
        message = (
            f"{instance}: NinjaOne takes no single API key; it needs client_id and client_secret."
        )
        raise CredentialError(
            message,
            suggestion="Make an API application (Administration > Apps > API) and set both, "
            "or give them in one as client_id:client_secret.",
        )
    Secret(client_id)  # each half is masked by itself too
    Secret(client_secret)
    return client_id, client_secret
