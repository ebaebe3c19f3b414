"""What a caller should know about a result that was made all the same."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One entry of a report's ``warnings``: a stable code, and a sentence that says what to do."""

    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)
