"""ConnectWise Automate's login: tokens, their refresh, and the second factor."""

from datetime import timedelta

from msp_lab.automate_lists import plain
from msp_lab.chance import token
from msp_lab.credentials import credentials
from msp_lab.web import Call, Refusal, Reply, reply
from msp_lab.world import World


class Login:
    """Gives tokens to the lab's users and checks them."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._tokens: dict[str, float] = {}
        self._issued = 0

    def revoke(self) -> None:
        """Make every token stop working."""
        self._tokens.clear()

    def check_integration(self, call: Call) -> None:
        if call.headers.get("clientId") != credentials(self._world.seed)["automate/client_id"]:
            raise Refusal(401, "The clientId header is missing or unknown")

    def authorise(self, call: Call) -> None:
        kind, _, value = call.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or self._tokens.get(value, 0.0) <= self._world.clock.elapsed():
            raise Refusal(401, "The access token is invalid or has expired")

    def info(self, _: Call) -> Reply:
        return reply({"AllowDirect": True, "AllowServiceRegistration": False, "Services": []})

    def login(self, call: Call) -> Reply:
        try:
            body = call.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Refusal(400, "UserName and Password are required")
        given = {str(name).lower(): value for name, value in body.items()}
        known = credentials(self._world.seed)
        name, password = given.get("username"), given.get("password")
        users = (known["automate/username"], known["automate/mfa_username"])
        if name not in users or password != known["automate/password"]:
            raise Refusal(401, "Invalid credentials")
        second = name == known["automate/mfa_username"]
        passcode = given.get("twofactorpasscode")
        if second and not passcode:
            # The vendor answers a pending second factor with status 200 and without a token.
            return reply(self._result(None, name, pending=True))
        if second and passcode != known["automate/mfa_passcode"]:
            raise Refusal(401, "Invalid two factor passcode")
        return reply(self._result(self._issue(), name, pending=False))

    def _issue(self) -> str:
        self._issued += 1
        value = token("lab-automate", self._world.seed, self._issued)
        self._tokens[value] = self._world.clock.elapsed() + self._seconds
        return value

    def _result(self, value: str | None, user: object, *, pending: bool) -> dict[str, object]:
        now = self._world.clock.now()
        expires = now + timedelta(seconds=self._seconds)
        return {
            "AccessToken": value,
            "TokenType": "Bearer",
            "ExpirationDate": plain(expires),
            "AbsoluteExpirationDate": plain(now + timedelta(hours=12)),
            "UserId": "7",
            "InternalUserName": user,
            "IsTwoFactorRequired": pending,
            "IsInternalTwoFactorRequired": False,
        }

    def refresh(self, call: Call) -> Reply:
        try:
            old = call.json()
        except ValueError:
            old = None
        if not isinstance(old, str) or old not in self._tokens:
            raise Refusal(401, "The token to refresh is unknown")
        del self._tokens[old]
        name = credentials(self._world.seed)["automate/username"]
        return reply(self._result(self._issue(), name, pending=False))
