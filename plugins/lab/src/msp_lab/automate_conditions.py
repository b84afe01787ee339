"""The condition grammar of ConnectWise Automate, the part that clients are known to use."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from msp_lab.web import Refusal

Get = Callable[[str], object]
Test = Callable[[Get], bool]

_TOKENS = re.compile(
    r"""\s*(?:
      (?P<date>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<sign><=|>=|!=|=|<|>|\(|\)|,)
    | (?P<word>[A-Za-z_][\w.]*)
    )""",
    re.VERBOSE,
)
_WORD_SIGNS = {"eq": "=", "like": "like", "contains": "contains", "in": "in"}


@attrs.frozen
class _Token:
    kind: str
    text: str


@attrs.frozen
class _Value:
    kind: str
    value: object


def parse(text: str) -> Test:
    """Return the test a condition stands for; raises Refusal 400 where the grammar is broken."""
    parser = _Parser(_split(text))
    test = parser.either()
    if parser.rest():
        raise Refusal(400, f"Invalid condition near '{parser.rest()}'")
    return test


def _split(text: str) -> list[_Token]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKENS.match(text, place)
        if found is None:
            raise Refusal(400, f"Invalid condition near '{text[place : place + 20]}'")
        tokens.append(_Token(found.lastgroup or "", found[found.lastgroup or 0]))
        place = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    def rest(self) -> str:
        return " ".join(token.text for token in self._tokens[self._place :])

    def _peek(self) -> str:
        return self._tokens[self._place].text.lower() if self._place < len(self._tokens) else ""

    def _take(self) -> _Token:
        if self._place >= len(self._tokens):
            raise Refusal(400, "Invalid condition: it ends too early")
        self._place += 1
        return self._tokens[self._place - 1]

    def _expect(self, text: str) -> None:
        found = self._take()
        if found.text != text:
            raise Refusal(400, f"Invalid condition: '{text}' expected, not '{found.text}'")

    def either(self) -> Test:
        tests = [self._both()]
        while self._peek() == "or":
            self._take()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda get: any(test(get) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek() == "and":
            self._take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda get: all(test(get) for test in tests)

    def _one(self) -> Test:
        if self._peek() == "(":
            self._take()
            inner = self.either()
            self._expect(")")
            return inner
        field = self._take()
        if field.kind != "word":
            raise Refusal(400, f"Invalid condition: a field expected, not '{field.text}'")
        sign = self._take()
        if sign.text.lower() == "not":
            test = self._comparison(field.text, self._take(), negatable=True)
            return lambda get: not test(get)
        return self._comparison(field.text, sign, negatable=False)

    def _comparison(self, field: str, sign: _Token, *, negatable: bool) -> Test:
        name = _WORD_SIGNS.get(sign.text.lower(), sign.text)
        if name == "in":
            values = self._list()
            return lambda get: any(_compare("=", get(field), value) for value in values)
        if name in ("like", "contains") or (name in _SIGNS and not negatable):
            value = self._value()
            return lambda get: _compare(name, get(field), value)
        raise Refusal(400, f"Invalid condition: unknown operator '{sign.text}'")

    def _list(self) -> list[_Value]:
        self._expect("(")
        values = [self._value()]
        while self._peek() == ",":
            self._take()
            values.append(self._value())
        self._expect(")")
        return values

    def _value(self) -> _Value:
        token = self._take()
        if token.kind == "number":
            return _Value("number", float(token.text))
        if token.kind == "text":
            return _Value("text", token.text[1:-1])
        if token.kind == "date":
            return _Value("date", _moment(token.text))
        if token.text.lower() in ("true", "false"):
            return _Value("bool", token.text.lower() == "true")
        raise Refusal(400, f"Invalid condition: unexpected '{token.text}'")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"Invalid condition: not a date '{text}'") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_SIGNS: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def _compare(sign: str, actual: object, wanted: _Value) -> bool:
    if sign == "contains" and isinstance(actual, list):
        return any(_texts_equal(item, wanted.value) for item in actual)
    if sign in ("like", "contains"):
        pattern = str(wanted.value) if sign == "like" else f"%{wanted.value}%"
        expression = ".*".join(re.escape(part) for part in pattern.split("%"))
        return re.fullmatch(expression, str(actual), re.IGNORECASE | re.DOTALL) is not None
    return _SIGNS[sign](_order(actual, wanted))


def _texts_equal(actual: object, wanted: object) -> bool:
    if isinstance(actual, int) and isinstance(wanted, float):
        return actual == wanted
    return str(actual).lower() == str(wanted).lower()


def _order(actual: object, wanted: _Value) -> int:
    if isinstance(actual, datetime):
        if wanted.kind == "text":
            # The real server breaks on quoted dates instead of refusing them.
            raise Refusal(500, "Conversion failed when converting date and/or time")
        if not isinstance(wanted.value, datetime):
            raise Refusal(400, "Invalid condition: a date expected")
        return (actual > wanted.value) - (actual < wanted.value)
    if isinstance(wanted.value, float) and not isinstance(actual, bool):
        try:
            number = float(str(actual))
        except ValueError:
            return 1
        return (number > wanted.value) - (number < wanted.value)
    left, right = str(actual).lower(), str(wanted.value).lower()
    return (left > right) - (left < right)
