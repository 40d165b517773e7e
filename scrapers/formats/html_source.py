"""From the bytes of a page to a tree: the charset, the repairs that keep a parser from eating text, the parse.

Authors write thresholds without escaping (`BP <120`, `ANC <LLN`, `</=5 mg`). A parser takes those for tags and drops
them with all that follows up to the next `>`; here they become text before it sees them.
"""

from __future__ import annotations

import codecs
import re

from bs4 import BeautifulSoup

from scrapers.formats.csv_rows import LENIENT
from scrapers.formats.errors import Unreadable
from scrapers.formats.html_signs import without_false_tags
from scrapers.formats.html_suggestions import without_deletions

_MAX_BYTES = 64 << 20
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]+)|^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w:.-]+)""", re.I
)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
# XML 1.0 forbids them and HTML never shows them; the renderer uses some as marks of its own.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
# Browsers show the character Windows-1252 has there: U+0096 between two doses is a dash.
_C1 = re.compile("[\x80-\x9f]")
_COMMENT = re.compile(rb"<!--.*?-->", re.S)
_TAGS = re.compile(rb"<[^<>]*>")
_ASCII_LETTER = re.compile(rb"[A-Za-z]")
# Languages in Latin letters that Windows-1252 cannot write.
_OTHER_LATIN = re.compile(
    rb"""<html[^>]{0,200}?\slang\s*=\s*["']?(?:bs|cs|et|hr|hu|lt|lv|pl|ro|sk|sl|sr|sq|tr)\b""", re.I
)
_UNESCAPED_LESS = re.compile(r"<(?=[^A-Za-z/!?]|/[^A-Za-z]|$)")
_TAG_NAME = re.compile(r"</?([A-Za-z][\w:.-]*)")
_BINARY = (b"%PDF-", b"\x1f\x8b", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
# What browsers read under these labels, https://encoding.spec.whatwg.org/#names-and-labels.
_READ_AS = {
    **dict.fromkeys(
        ("iso-8859-1", "iso8859-1", "latin-1", "latin1", "l1", "ascii", "us-ascii", "iso_8859-1"), "cp1252"
    ),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    # A declaration that could be read was written in ASCII bytes.
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "unicode"), "utf-8"),
}
_ELEMENTS = """
a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink blockquote body br button
canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed fieldset
figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img input
ins isindex kbd label legend li link listing main map mark marquee math menu menuitem meta meter mprescripts mspace nav
nobr noembed noframes none noscript object ol optgroup option output p param picture plaintext pre progress q rb rp rt
rtc ruby s samp script search section select slot small source spacer span strike strong style sub summary sup svg table
tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xmp
"""
_KNOWN = frozenset(_ELEMENTS.split())


def decode(html: bytes, counts: dict[str, int]) -> str:
    """`html` as text: byte order mark, UTF-16 by its zero bytes, declared charset, UTF-8, detection, in this order.

    Bytes that are UTF-8 are that, whatever single-byte charset the page declares: the server said so, and the page was
    saved without it. A few other bytes among UTF-8 are Windows-1252, pasted in, and are read so one by one.
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if html.startswith(mark):
            return html.decode(name, errors="replace")
    wide = _wide(html)
    if wide:
        counts["extract.detected_charset"] = 1
        return html.decode(wide, errors="replace")
    declared = _DECLARED.search(_COMMENT.sub(b"", html[:4096]))
    named = (declared[1] or declared[2]).decode("ascii", errors="ignore").lower() if declared else "utf-8"
    named = _READ_AS.get(named, named)
    single = named.startswith(("cp125", "iso-8859", "windows-125"))
    for name in ("utf-8", named) if single else (named, "utf-8"):
        try:
            return html.decode(name, errors=_C1_KEPT if name.startswith("cp125") else "strict")
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    n_wide = sum(1 for char in html.decode("utf-8", errors="ignore") if char > "\x7f")
    n_other = html.decode("utf-8", errors="replace").count("\ufffd")
    if n_wide >= n_other:
        counts["extract.mixed_charset"] = 1
        return html.decode("utf-8", errors=LENIENT)
    if _western(html):
        counts["extract.detected_charset"] = 1
        return html.decode("cp1252", errors=_C1_KEPT)
    import cchardet

    found = cchardet.detect(html[: 1 << 20]).get("encoding")
    counts["extract.detected_charset"] = 1
    try:
        return html.decode(found or "cp1252")
    except (LookupError, UnicodeDecodeError):
        counts["extract.replaced_characters"] = 1
        return html.decode("cp1252", errors="replace")


def _western(html: bytes) -> bool:
    """A page in Latin letters with few others: Windows-1252, as browsers have it.

    A detector by letter statistics takes `10² 1½ µg` in English prose for IBM852 or Big5, and makes other signs of it
    without an error (cchardet 2.1).
    """
    text = _TAGS.sub(b" ", html[: 1 << 20])
    n_high = sum(1 for byte in text if byte > 0x7F)
    return (n_high < 8 or n_high * 5 < len(_ASCII_LETTER.findall(text))) and not _OTHER_LATIN.search(html[:4096])


def _wide(html: bytes) -> str:
    """UTF-16 without its mark: markup is ASCII, so every second byte of a piece of it is zero."""
    head = html[:2048]
    if head.count(0) * 3 < len(head):
        return ""
    return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"


def _c1_kept(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


_C1_KEPT = "medtrove_c1"
"""Error handler: the five bytes that Windows-1252 leaves open are controls, as browsers have it."""
codecs.register_error(_C1_KEPT, _c1_kept)


def parse(html: bytes | str, counts: dict[str, int]) -> BeautifulSoup:
    """The tree of `html`; Unreadable when it is too large or no text."""
    if len(html) > _MAX_BYTES:
        raise Unreadable("extract.too_large", f"An HTML page of more than {_MAX_BYTES >> 20} MiB.")
    if isinstance(html, bytes):
        if html.startswith(_BINARY):
            raise Unreadable("extract.unknown_format", "Not HTML but a binary file.")
        html = decode(html, counts)
    text = repaired(_XML_DECLARATION.sub("", html))
    if "<" not in text:
        text = f"<p>{text}</p>"
    soup = BeautifulSoup(text, "lxml")
    if "suggestion-end" in text:
        without_deletions(soup, counts)
    return soup


def repaired(markup: str) -> str:
    """`markup` with every `<` escaped that begins no tag, and without control characters.

    >>> repaired("<p>ANC <LLN, BP <120 and HR >60, dose </=5 mg</p>")
    '<p>ANC &lt;LLN, BP &lt;120 and HR >60, dose &lt;/=5 mg</p>'
    """
    text = _CONTROLS.sub("", markup)
    if not text.isascii():
        text = _C1.sub(lambda found: found[0].encode("latin-1").decode("cp1252", errors="replace"), text)
    text = _UNESCAPED_LESS.sub("&lt;", without_false_tags(text))
    names = {name.lower() for name in set(_TAG_NAME.findall(text))} - _KNOWN
    if names:
        # An unknown name is a tag if the page closes it, or a namespace says so; else it is the word after a sign.
        lowered = text.lower()
        words = [name for name in names if ":" not in name and f"</{name}" not in lowered]
        if words:
            listed = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
            text = re.sub(rf"<(?=(?:{listed})(?![\w:.-]))", "&lt;", text, flags=re.I)
    return text
