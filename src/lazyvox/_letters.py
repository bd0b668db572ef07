"""Text out of files, such as names of files and regions, for terminals, logs and pages."""

__all__ = ["printable_text"]


def printable_text(text: str) -> str:
    r"""Return a text with letters that cannot be seen written as Python writes them.

    They break lines, turn round what follows them, or make two names look alike. Spaces of any
    width stay.

    Examples
    --------
    >>> printable_text("two\nlines")
    'two\\nlines'
    """
    if text.isprintable():
        return text
    return "".join(one if _is_seen(one) else repr(one)[1:-1] for one in text)


def _is_seen(letter: str) -> bool:
    is_space = letter.isspace() and letter >= "\N{NO-BREAK SPACE}"
    return letter.isprintable() or (
        is_space and letter not in "\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
    )
