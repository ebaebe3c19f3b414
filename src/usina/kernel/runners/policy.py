"""Which terms the operator of this platform can accept, and why a model is refused by them."""

from dataclasses import dataclass, field
from typing import Final, Literal

from usina.kernel.runners.terms import Terms

_UNION: Final = frozenset(
    (
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    )
)
"""Members of the European Union."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator says of himself. What he does not say refuses nothing but what is plain:
    terms without commercial use need a platform that is told to be for research alone.

    ``accepted`` names models whose terms he has settled by himself, whatever they are.
    """

    use: Literal["commercial", "research"] = "commercial"
    territories: frozenset[str] = frozenset()
    revenue_usd: int | None = None
    accepted: frozenset[str] = field(default_factory=frozenset[str])

    def refusal(self, name: str, licence: str, terms: Terms | None) -> str | None:
        """Why the model must not run here, with the settings that would accept it; else null."""
        if terms is None or name in self.accepted:
            return None
        found = self._against(licence, terms)
        if found is None:
            return None
        why, setting = found
        own = f"add {name} to USINA_ACCEPT_TERMS if you have its owner's consent"
        there = f" Its terms: {terms.url}" if terms.url else ""
        return f"{why} {setting}{own}.{there}"

    def _against(self, licence: str, terms: Terms) -> tuple[str, str] | None:
        if self.use == "commercial" and not terms.commercial:
            return (
                f"{licence} allows no commercial use.",
                "Set USINA_USE=research if nothing else is done here, or ",
            )
        excluded = [each for each in terms.excluded_territories if self._is_in(each)]
        if excluded:
            return f"{licence} is not valid in {', '.join(excluded)} (USINA_TERRITORIES).", "Only "
        limit, earned = terms.revenue_limit_usd, self.revenue_usd
        if self.use == "commercial" and limit is not None and (earned or 0) >= limit:
            return (
                f"{licence} is for a revenue below {limit:,} USD a year, and "
                f"USINA_REVENUE_USD is {earned:,}.",
                "Buy a licence, then ",
            )
        return None

    def _is_in(self, territory: str) -> bool:
        if territory in self.territories:
            return True
        if territory == "EU":
            return bool(self.territories & _UNION)
        return territory in _UNION and "EU" in self.territories


OPEN: Final = Policy()
