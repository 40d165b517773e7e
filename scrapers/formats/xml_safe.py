"""XML parsing that neither fetches, expands nor recurses without bound.

Nothing outside the bytes is read: no DTD, no network, no external entity. Entities that a document declares
itself are refused unless each is a short literal; the names of HTML and ISO (`&alpha;`) are known without a DTD.
libxml2's own limits (depth 256, 10 MB a text node) stay on. Fails with `Unreadable`, which names the line and
never quotes the document.
"""

from __future__ import annotations

import re
from html.entities import html5
from typing import Any

from lxml import etree

from scrapers.formats.errors import Unreadable

_LITERAL_ENTITY_CHARS = 64
_PARAMETER_ENTITY = re.compile(rb"<!\s*ENTITY\s+%")
_PLAIN_PROLOG = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:<\?xml[^<>]*\?>)?\s*"
    rb"(?:<!DOCTYPE[^<>\[\]\"']*(?:\"[^\"<>]*\"\s*|'[^'<>]*'\s*)*>\s*)?<[A-Za-z]"
)
"""The start of a document that declares nothing itself: no internal subset, hence no entity."""
_HTML = re.compile(rb"[\s\xef\xbb\xbf]*<(?:!doctype\s+html|html)\b", re.I)

PARSER_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""Options of every lxml XML parser here, also for `etree.iterparse`."""


def parse(data: bytes) -> Any:
    """The root element of `data`; Unreadable when it is broken or unsafe."""
    if _HTML.match(data):
        raise Unreadable("extract.not_a_document", "An HTML page where XML was expected.")
    if _PLAIN_PROLOG.match(data) is None and _declares_parameters(data):
        raise Unreadable("extract.unsafe", "The document declares parameter entities.")
    try:
        root = etree.fromstring(data, etree.XMLParser(**PARSER_OPTIONS))
    except etree.XMLSyntaxError as error:
        raise unreadable(error) from None
    except (ValueError, LookupError):
        raise Unreadable("extract.corrupt", "The bytes are not XML in the encoding they declare.") from None
    if root is None:
        raise Unreadable("extract.corrupt", "No XML element.")
    check_entities(root)
    return root


def _declares_parameters(data: bytes) -> bool:
    wide = data[:2] in (b"\xfe\xff", b"\xff\xfe") or b"\0" in data[:64]
    scanned = data.replace(b"\0", b"") if wide else data
    return b"ENTITY" in scanned and _PARAMETER_ENTITY.search(scanned) is not None


def unreadable(error: Any) -> Unreadable:
    """The `Unreadable` that says what an lxml syntax error means, without its message."""
    message = str(error)
    line = getattr(error, "lineno", None)
    where = f" at line {line}" if line else ""
    if "amplification" in message or ("entity" in message.lower() and "loop" in message.lower()):
        return Unreadable("extract.unsafe", f"Entity expansion beyond the limit{where}.")
    if "Excessive depth" in message or ("depth" in message and "exceeded" in message):
        return Unreadable("extract.unsafe", f"Elements nested beyond the limit{where}.")
    if "huge" in message.lower() or "too long" in message or "too big" in message:
        return Unreadable("extract.too_large", f"One text node or name is larger than the limit{where}.")
    if message.startswith("Namespace prefix"):
        return Unreadable("extract.corrupt", f"Not well-formed XML: a namespace prefix is not declared{where}.")
    return Unreadable("extract.corrupt", f"Not well-formed XML{where}.")


def check_entities(element: Any) -> None:
    """Unreadable if the document of `element` declares an entity that is anything but a short literal."""
    internal = element.getroottree().docinfo.internalDTD
    if internal is None:
        return
    literal = 0
    for entity in internal.iterentities():
        content = entity.content
        if content is None or entity.system_url is not None:
            raise Unreadable("extract.unsafe", "The document declares an external entity.")
        if len(content) > _LITERAL_ENTITY_CHARS or "&" in content or "%" in content or "<" in content:
            raise Unreadable("extract.unsafe", "The document declares an entity that is not a short literal.")
        literal += 1
    if literal > 4096:
        raise Unreadable("extract.unsafe", "The document declares thousands of entities.")


def entity_text(entity: Any) -> str:
    """The characters an entity reference node stands for; the reference itself when nobody knows it."""
    name = entity.name
    known = html5.get(f"{name};")
    if known is not None:
        return known
    internal = entity.getroottree().docinfo.internalDTD
    if internal is not None:
        for declared in internal.iterentities():
            if declared.name == name and declared.content is not None:
                return str(declared.content)
    return f"&{name};"
