"""What a Stable Diffusion server's refusals mean, and what to do about them.

The messages go to whoever sent the photo, so they name settings and never the server's address.
"""

import json
from typing import Final

from pydantic import ValidationError

from usina.apps.avatars.diffusion.engine import AUTH, SAMPLER, SERVER
from usina.apps.avatars.diffusion.wire import Trouble
from usina_runner import Failure

_SHOWN: Final = 300
_THE_SERVER: Final = f"The Stable Diffusion server that {SERVER} names"
_GATEWAY: Final = frozenset({502, 503, 504})


def down(error: Exception) -> Failure:
    return Failure(
        "unavailable",
        "server_down",
        f"{_THE_SERVER} can not be reached ({type(error).__name__}). Start it with --api, or set "
        f"{SERVER} right.",
        retryable=True,
    )


def silent(seconds: float) -> Failure:
    return Failure(
        "unavailable",
        "server_silent",
        f"{_THE_SERVER} has not answered for {seconds:g} s, though it is there. Look at its log; "
        "restart it if it hangs.",
        retryable=True,
    )


def broken_off(error: Exception) -> Failure:
    return Failure(
        "unavailable",
        "server_broke_off",
        f"{_THE_SERVER} broke off its answer ({type(error).__name__}); it may have ended. Look at "
        "its log.",
        retryable=True,
    )


def too_large(limit: int) -> Failure:
    return Failure(
        "runner_failed",
        "answer_too_large",
        f"{_THE_SERVER} answers more than {limit} bytes, which no picture of this size needs.",
        retryable=False,
    )


def bad_answer(what: str) -> Failure:
    return Failure(
        "runner_failed",
        "bad_answer",
        f"{_THE_SERVER} answers {what}. Is it AUTOMATIC1111's, or one with the same API?",
        retryable=False,
    )


def refusal(status: int, body: bytes) -> Failure:
    """What another status than 200 means."""
    told = _told(body)
    detail = _words(told.detail)
    if status in {401, 403}:
        return _fixed("server_refuses_login", f"wants a login; set {AUTH} to user:password.")
    if 300 <= status < 400:
        return _fixed("server_moved", f"sends elsewhere; set {SERVER} to where it really is.")
    if status in _GATEWAY:
        return down(ConnectionError())
    if detail == "Sampler not found":
        return _fixed("unknown_sampler", f"does not know the sampler; set {SAMPLER} to one of its.")
    if status in {404, 405}:
        return _fixed("server_without_api", "has no img2img at /sdapi/v1; start it with --api.")
    return _of_work(status, told, detail)


def _of_work(status: int, told: Trouble, detail: str) -> Failure:
    """What went wrong while it worked: it says the kind of its error in ``error``."""
    kind, said = _words(told.error), _words(told.errors) or detail
    if "OutOfMemory" in kind or "out of memory" in said.lower():
        return Failure(
            "out_of_memory",
            "server_out_of_memory",
            f"{_THE_SERVER} has too little memory for this picture: ask for a smaller paint_size, "
            "or start it with --medvram.",
        )
    if "Nans" in kind or "NansException" in said:
        return Failure(
            "runner_failed",
            "picture_not_finite",
            f"{_THE_SERVER} got numbers that are none; start it with --no-half-vae or --no-half.",
            retryable=False,
        )
    if status == 422:
        return Failure(
            "runner_failed",
            "server_refused",
            f"{_THE_SERVER} refuses the request: {said or 'it does not say why'}",
            retryable=False,
        )
    what = f"{kind}: {said}" if kind and said else kind or said or "no reason"
    return Failure(
        "runner_failed", "server_error", f"{_THE_SERVER} failed with {status}: {what[:_SHOWN]}"
    )


def _fixed(reason: str, what: str) -> Failure:
    """A fault of the installation, which another attempt meets again."""
    return Failure("unavailable", reason, f"{_THE_SERVER} {what}", retryable=False)


def _told(body: bytes) -> Trouble:
    try:
        return Trouble.model_validate_json(body)
    except ValidationError:
        return Trouble()


def _words(value: object) -> str:
    """A refusal's words in one line; FastAPI tells of bad fields as a list."""
    text = value if isinstance(value, str) else json.dumps(value) if value else ""
    return " ".join(text.split())[:_SHOWN]
