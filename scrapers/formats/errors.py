"""What every reader raises when bytes cannot be read: a reason of the closed vocabulary and one sentence.

The sentence never holds text of the document, so it may be logged for restricted sources too.
"""

from __future__ import annotations

from manifests.reasons import reason as known_reason


class Unreadable(Exception):
    """Bytes that hold no readable document, or hold one that must be refused."""

    def __init__(self, reason: str, detail: str = "") -> None:
        known_reason(reason)
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)

    def __reduce__(self) -> tuple[type[Unreadable], tuple[str, str]]:
        return (Unreadable, (self.reason, self.detail))
