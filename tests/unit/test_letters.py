"""Letters of names that cannot be seen."""

import pytest

from lazyvox._letters import printable_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("région 左", "région 左"),
        ("a b\N{NO-BREAK SPACE}c\N{IDEOGRAPHIC SPACE}d", "a b\xa0c\u3000d"),
        ("a\u202egnp", "a\\u202egnp"),
        ("a\u034fb\u115fc", "a\\u034fb\\u115fc"),
        ("منطقة \u2764\ufe0f", "منطقة \u2764\ufe0f"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("two\r\nlines\u2028three", "two\\r\\nlines\\u2028three"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("half \udc80", "half \\udc80"),
        ("\U000e0041tag", "\\U000e0041tag"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert printable_text(text) == shown
    assert printable_text(shown) == shown
