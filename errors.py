"""The error that is told to a person in one line."""


class UserError(Exception):
    """Something the person at the keyboard can mend; the message says what and how."""

    def _render_traceback_(self) -> list[str]:
        """Let IPython show one line in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]
