"""Signs that a parser would take for tags although their letters are names of elements: `a <b and c> d`, `p <s 5`.

A tag has attributes. `<` and a name are text where bare words follow that are no attributes, where no `>` follows, or
where a character follows that ends no name. What the page closes is a tag all the same.
"""

from __future__ import annotations

import re
from collections import Counter

# Names of elements that are words, letters or units as well; `div`, `span` and `ul` are none.
_NAMES = """
a abbr area b base big body button center cite code col data dd del dl dt em figure font form frame h1 h2 h3 h4 h5 h6
head hr i image input ins label legend li link list map mark math menu meter object option output p param picture pre
progress q rb rp rt s search select slot small source strong style sub summary sup table td template th time title tr
track tt u var video
"""
_ALSO_WORDS = frozenset(_NAMES.split())
_FALSE = re.compile(
    r"<(?P<name>[A-Za-z][A-Za-z0-9]*+)"
    r"(?:(?P<words>(?:\s++[^\s=<>\"'/]++)++)(?P<rest>[^<>\"']*+)(?:>|(?=<)|\Z)"
    r"|(?P<space>\s*+)(?:(?=<)|\Z)"
    r"|(?P<mark>[,;()!?%*+=|]|/(?P<word>[A-Za-z]+)(?=[\s<.,;)]|\Z)))"
)
_BARE = """
align allowfullscreen alt async autofocus autoplay bgcolor border cellpadding cellspacing checked class clear color
colspan compact contenteditable controls crossorigin declare default defer dir disabled download draggable face for
formnovalidate height hidden href id inert ismap itemscope lang loop multiple muted name nohref nomodule noresize
noshade novalidate nowrap open playsinline readonly rel required reversed role rowspan scope seamless selected size
spellcheck src style tabindex target title translate type valign value width
"""
_ATTRIBUTES = frozenset(_BARE.split())
_ONE_LETTER = frozenset("abiqsu")


def without_false_tags(markup: str) -> str:
    """`markup` with the `<` of such signs escaped.

    >>> without_false_tags("<p>if a <b and c> d, p <s 5 or INR <u/l 3</p>")
    '<p>if a &lt;b and c> d, p &lt;s 5 or INR &lt;u/l 3</p>'
    """
    found = [(match.start(), match["name"].lower()) for match in _FALSE.finditer(markup) if _is_text(match)]
    if not found:
        return markup
    many = Counter(name for _, name in found)
    closed = {
        name
        for name in many
        if len(re.findall(rf"</{name}\b", markup, re.I)) > len(re.findall(rf"<{name}\b", markup, re.I)) - many[name]
    }
    pieces: list[str] = []
    stop = 0
    for start, name in found:
        if name not in closed:
            pieces += (markup[stop:start], "&lt;")
            stop = start + 1
    return "".join((*pieces, markup[stop:]))


def _is_text(match: re.Match[str]) -> bool:
    name = match["name"].lower()
    if name not in _ALSO_WORDS:
        return False
    if match["mark"]:
        return (match["word"] or "").lower() not in _ATTRIBUTES
    if match["words"]:
        words = match["words"].lower().split()
        if match["rest"].lstrip().startswith("="):
            words.pop()
        # Frameworks name theirs with a hyphen, a colon or an @.
        return (
            bool(words)
            and words[0] not in _ATTRIBUTES
            and not any(mark in word for word in words for mark in ("-", ":", "@", "{"))
        )
    return not match["space"] or name in _ONE_LETTER
