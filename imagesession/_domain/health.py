"""
The results of the health checks of library, key and models.
"""

from __future__ import annotations

from typing import Literal

import attrs

from .readable import readable

Health = Literal["ok", "warning", "problem"]


@attrs.frozen(kw_only=True)
class HealthCheck:
    """
    The result of one health check.

    Attributes:
        name: The check's name, in a word or two; the same in every release.
        state: "ok"; "warning" for what may become a problem; "problem" for what is one now.
        message: The finding.
        remedy: What to do about it; empty if there is nothing to do.
    """

    name: str
    state: Health = "ok"
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.state:<7}  {self.name}: {self.message}"
        return f"{text}\n{'':<7}  -> {self.remedy}" if self.remedy else text


@readable
@attrs.frozen(kw_only=True)
class HealthReport:
    """
    The results of all health checks; print it for a readable list.

    Attributes:
        checks: The results, one by one.
    """

    checks: tuple[HealthCheck, ...]

    @property
    def ok(self) -> bool:
        """
        Whether there is no problem; there may be warnings.
        """
        return all(check.state != "problem" for check in self.checks)

    def check(self, name: str) -> HealthCheck:
        """
        Return the result of one check.

        Raises:
            KeyError: There is no check with this name.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __str__(self) -> str:
        counts = [
            f"{count} {state}{'' if count == 1 else 's'}"
            for state in ("problem", "warning")
            if (count := sum(check.state == state for check in self.checks))
        ]
        verdict = f"{' and '.join(counts)} found." if counts else "All is well."
        return "\n".join([*map(str, self.checks), verdict])


for _public in (HealthCheck, HealthReport):
    _public.__module__ = "imagesession"
