"""How a promise is said to be broken."""


class Broken(AssertionError):
    """Raised when an invariant does not hold; the message begins with its name."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


def hold(true: bool, invariant: str, what: object) -> None:
    """`what` is told when it is broken, and only then put into words: it holds a million times for each that it does not."""
    if not true:
        raise Broken(invariant, str(what))
