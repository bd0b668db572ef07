"""Text out of files, such as names of files and regions, for terminals, logs and pages."""

__all__ = ["printable_text"]

#: Letters and marks without shape and width, which Python takes for printable.
_SHAPELESS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f")


def printable_text(text: str) -> str:
    r"""Return a text with letters that cannot be seen written as Python writes them.

    They break lines, turn round what follows them, or make two names look alike. Spaces of any
    width stay.

    Examples
    --------
    >>> printable_text("two\nlines")
    'two\\nlines'
    """
    if text.isprintable() and _SHAPELESS.isdisjoint(text):
        return text
    return "".join(one if _is_seen(one) else _escaped(one) for one in text)


def _is_seen(letter: str) -> bool:
    is_space = letter.isspace() and letter >= "\N{NO-BREAK SPACE}"
    return (letter.isprintable() and letter not in _SHAPELESS) or (
        is_space and letter not in "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
