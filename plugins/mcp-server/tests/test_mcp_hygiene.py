"""What is taken out of text, and the quick ways to see that there is nothing to take out."""

import re
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.secrets import _BY_KEY, _IN_URL, MASK, mask_known
from msp_core.v1 import mask_data
from msp_mcp_server.hygiene import clean, cleaned, is_harmless

PIECES = (
    "Client 7", "Ünïcode", "token: abcdef", "PASSWORD=hunter22", "apı_key: abcdef", "api-key=abcdef", "Secret: abcdef",
    "paſſword: hunter22", "to\u212aen=abcdef", "authorization: bearer abcdef", "http://u:p4ss@host/", "://", "@", "#1",
    "token: there", "token: unknown", "secret: env:",
    "# head", "\n", "\t", "\x1b[31m", "<b>", "[a](b)", "](", "`x`", "```", "~~~", "\u200b", "\u2028", "\u3164", "\xa0",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=4).map("".join)


def test_every_character_that_is_taken_out_is_seen() -> None:
    """No single character is called harmless and then taken out."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if is_harmless([f"a{character}b"]):
            assert clean(f"a{character}b") == f"a{character}b"


@given(st.lists(texts, max_size=4))
def test_what_is_harmless_stays_as_it_is(parts: list[str]) -> None:
    """Looked at together or each by itself, harmless texts are neither masked nor cleaned."""
    if is_harmless({"name": parts}):
        assert mask_data(parts) == parts
        assert cleaned(parts) == parts


@pytest.mark.parametrize(
    "text",
    [
        "<" * 100_000 + "a>" * 100_000,
        "# " * 100_000,
        "<!--" * 100_000 + "-->" * 100_000,
        "[" * 100_000 + "a](b)" * 100_000,
        "```" * 50_000 + "<" * 50_000 + "`>" * 50_000,
        "]<(" * 100_000,
    ],
)
def test_markup_in_markup_takes_no_time(text: str) -> None:
    """However deep it is nested, it is taken out in a time that grows with its length alone."""
    started = time.process_time()
    done = clean(text)
    assert time.process_time() - started < 5
    assert clean(done) == done
    assert "<a" not in done
    assert "](" not in done


@given(st.text(alphabet="<>a!-[]()#`~ \n\x1b", max_size=60))
def test_what_is_cleaned_stays_so(text: str) -> None:
    """Cleaning twice changes nothing, whatever stands inside what."""
    done = clean(text)
    assert clean(done) == done


@given(texts)
def test_masking_sees_everything_its_patterns_see(text: str) -> None:
    """The quick look before a pattern is tried leaves nothing to it."""
    known = mask_known(text)  # other tests of this process have made secrets known
    whole = re.sub(_IN_URL, rf"\1:{MASK}@", known)
    assert mask_data(text) == re.sub(_BY_KEY, lambda match: match[1] + MASK, whole)


@pytest.mark.parametrize("name", ["password", "api_key", "clientSecret", "token"])
def test_a_name_of_a_secret_is_never_harmless(name: str) -> None:
    """What stands under such a name is masked, whatever it is."""
    assert is_harmless({"name": "x"})
    assert not is_harmless([{"name": "x"}, {"deep": {name: "x"}}])
