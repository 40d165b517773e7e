"""robots.txt as RFC 9309 reads it, with the Crawl-delay that many publishers add.

The standard library's parser knows no `*` and `$` and takes the first match instead of the longest; publishers
use both. A file that cannot be parsed allows what it does not forbid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

MAX_BYTES = 512_000
"""RFC 9309 asks for at least 500 KiB; what lies beyond is not read."""
_UNRESERVED = "/*$-._~!&'()+,;=:@%?"


@dataclass(slots=True)
class Group:
    """The rules of one or more user agents."""

    agents: list[str] = field(default_factory=list)
    rules: list[tuple[bool, str]] = field(default_factory=list)
    """(allowed, path pattern) as written."""
    crawl_delay_seconds: float = 0.0


class Robots:
    """What one host's robots.txt says to one user agent.

    >>> robots = Robots("User-agent: *\\nDisallow: /private/\\nAllow: /private/open$\\nCrawl-delay: 2", "medtrove")
    >>> robots.allows("https://a.org/private/x"), robots.allows("https://a.org/private/open")
    (False, True)
    >>> robots.crawl_delay_seconds
    2.0
    """

    def __init__(self, text: str, agent: str) -> None:
        groups = _groups(text)
        agent = agent.lower()
        mine = [group for group in groups if any(name != "*" and name in agent for name in group.agents)]
        chosen = mine or [group for group in groups if "*" in group.agents]
        rules = [rule for group in chosen for rule in group.rules]
        self._rules = [(allowed, len(path), _pattern(path)) for allowed, path in rules if path]
        self.crawl_delay_seconds = max((group.crawl_delay_seconds for group in chosen), default=0.0)

    def allows(self, url: str) -> bool:
        """True if the longest rule that matches allows `url`, or none matches; allow wins a tie."""
        parts = urlsplit(url)
        path = _normal((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        if path == "/robots.txt":
            return True
        found = [(length, allowed) for allowed, length, pattern in self._rules if pattern.match(path)]
        return max(found)[1] if found else True


def _groups(text: str) -> list[Group]:
    groups: list[Group] = []
    naming = False
    for raw_line in text.removeprefix("\ufeff").splitlines():
        line = raw_line.partition("#")[0].strip()
        key, colon, value = line.partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            if not naming:
                groups.append(Group())
            groups[-1].agents.append(value.lower())
            naming = True
        elif key in ("allow", "disallow", "crawl-delay"):
            naming = False
            if not groups:
                continue
            if key == "crawl-delay":
                groups[-1].crawl_delay_seconds = _seconds(value)
            else:
                groups[-1].rules.append((key == "allow", value))
    return groups


def _seconds(value: str) -> float:
    return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else 0.0


def _normal(path: str) -> str:
    """One spelling for the many ways to percent-encode a path."""
    return quote(unquote(path), safe=_UNRESERVED)


def _pattern(path: str) -> re.Pattern[str]:
    anchored = path.endswith("$")
    pieces = [re.escape(_normal(piece)) for piece in path.removesuffix("$").split("*")]
    return re.compile(".*".join(pieces) + ("$" if anchored else ""), re.DOTALL)
