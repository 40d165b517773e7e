"""Publication dates as ISO 8601, as precise as the source gives them."""

from __future__ import annotations

import datetime

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"),
            ("feb", "february"),
            ("mar", "march"),
            ("apr", "april"),
            ("may", "may"),
            ("jun", "june"),
            ("jul", "july"),
            ("aug", "august"),
            ("sep", "september", "sept"),
            ("oct", "october"),
            ("nov", "november"),
            ("dec", "december"),
        ),
        start=1,
    )
    for name in names
}


def iso_date(year: str, month: str | None = None, day: str | None = None) -> str:
    """`2021`, `2021-03` or `2021-03-04`; parts that mean no date are left off.

    >>> iso_date("2021", "Mar", "4")
    '2021-03-04'
    >>> iso_date("2021", "Spring", "4")
    '2021'
    """
    year = year.strip()
    month = (month or "").strip().rstrip(".").lower()
    number = int(month) if month.isdecimal() else _MONTHS.get(month, 0)
    if not 1 <= number <= 12:
        return year
    day = (day or "").strip()
    if day.isdecimal():
        try:
            return datetime.date(int(year), number, int(day)).isoformat()
        except ValueError:
            pass
    return f"{year}-{number:02d}"
