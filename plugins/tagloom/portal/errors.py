"""What can go wrong for a person in front of the portal; each says what happened and what to do."""

from __future__ import annotations


class PortalError(Exception):
    """Something that the portal tells in a friendly page or, where JSON is asked for, in one sentence."""

    status = 400
    title = "That did not work"

    def __init__(self, message: str, cure: str = "", **values: object):
        super().__init__(message.format_map(values) if values else message)
        self.message = message
        """What happened, in English; `{name}` takes one of the values."""
        self.cure = cure
        self.values = values


class NotSignedInError(PortalError):
    """Nobody is signed in, or the session has ended."""

    status = 401
    title = "Please sign in"

    def __init__(self) -> None:
        super().__init__("You are not signed in, or your session has ended.", "Sign in and try again.")


class ForbiddenError(PortalError):
    """The user lacks a right."""

    status = 403
    title = "You may not do this"

    def __init__(self, right: str, message: str = ""):
        super().__init__(
            message or "This needs the right “{right}”, which your role does not have.",
            "Ask an administrator for a role that has it.",
            right=right,
        )
        self.right = right


class NotFoundError(PortalError):
    """There is no such thing."""

    status = 404
    title = "Nothing here"


class ConflictError(PortalError):
    """The thing is used, or was changed by somebody else in the meantime."""

    status = 409
    title = "Not possible now"


class TooManyRequestsError(PortalError):
    """The user asks more often than the limit allows."""

    status = 429
    title = "A little slower, please"

    def __init__(self, seconds: int):
        super().__init__(
            "You have asked for more than the portal answers in a minute.", "Try again in {seconds} s.", seconds=seconds
        )
        self.seconds = seconds
