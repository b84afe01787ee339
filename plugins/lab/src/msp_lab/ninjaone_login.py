"""NinjaOne's login: client credentials, scopes, tokens that expire."""

from urllib.parse import parse_qs

from msp_lab.chance import token as made_up
from msp_lab.credentials import credentials
from msp_lab.web import Call, Refusal, Reply, reply
from msp_lab.world import World

SCOPES = ("monitoring", "management", "control")
TOKEN_PATHS = ("/ws/oauth/token", "/oauth/token")


class Login:
    """Gives tokens to the lab's API application and checks them."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._tokens: dict[str, tuple[float, frozenset[str]]] = {}
        self._issued = 0

    def revoke(self) -> None:
        """Make every token stop working."""
        self._tokens.clear()

    def token(self, call: Call) -> Reply:
        form = {key: values[0] for key, values in parse_qs(call.body.decode()).items()}
        known = credentials(self._world.seed)
        if form.get("grant_type") != "client_credentials":
            raise Refusal(400, "only client_credentials is offered", "unsupported_grant_type")
        if (form.get("client_id"), form.get("client_secret")) != (
            known["ninjaone/client_id"],
            known["ninjaone/client_secret"],
        ):
            raise Refusal(401, "client authentication failed", "invalid_client")
        scopes = frozenset(form.get("scope", "monitoring").split())
        if not scopes or not scopes <= set(SCOPES):
            raise Refusal(400, "unknown scope", "invalid_scope")
        self._issued += 1
        value = made_up("lab-ninjaone", self._world.seed, self._issued)
        self._tokens[value] = (self._world.clock.elapsed() + self._seconds, scopes)
        return reply(
            {
                "access_token": value,
                "token_type": "Bearer",
                "expires_in": int(self._seconds),
                "scope": " ".join(sorted(scopes)),
            }
        )

    def authorise(self, call: Call, scope: str) -> None:
        kind, _, value = call.headers.get("Authorization", "").partition(" ")
        expires, scopes = self._tokens.get(value, (0.0, frozenset()))
        if kind.lower() != "bearer" or expires <= self._world.clock.elapsed():
            raise Refusal(401, "The access token is invalid or has expired", "invalid_token")
        if scope not in scopes:
            raise Refusal(403, f"The token lacks the scope '{scope}'")
