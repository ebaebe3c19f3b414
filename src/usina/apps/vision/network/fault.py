"""What is wrong with the operator's model, which no caller can mend."""

from usina_runner import Failure


class Unusable(Failure):
    """``unavailable`` with a reason, not tried again: the file is the same next time."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("unavailable", reason, message, retryable=False)
