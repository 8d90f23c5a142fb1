"""The signature of Config for programs that look at it; `inspect` is imported when one does."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any


class KnownParameters:
    """As `__signature__` of a class: uvicorn's parameters with their defaults, ours, and other servers' names."""

    def __init__(self, defaults: "dict[str, Any]") -> None:
        self._defaults = defaults

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = owner

    def __get__(self, instance: "Any", owner: "Any") -> "Signature":
        if owner.__init__ is not self._owner.__init__:  # type: ignore[misc]
            raise AttributeError("__signature__")  # a subclass that has its own
        from inspect import Parameter, Signature

        from ..options.table import OPTIONS

        def parameters(kind: "Any", values: "dict[str, Any]") -> "list[Parameter]":
            return [Parameter(name, kind, default=value) for name, value in values.items()]

        ours = {one.name: one.default for one in OPTIONS if one.name not in {"app", *self._defaults}}
        return Signature(
            [
                Parameter("app", Parameter.POSITIONAL_OR_KEYWORD),
                *parameters(Parameter.POSITIONAL_OR_KEYWORD, self._defaults),
                *parameters(Parameter.KEYWORD_ONLY, ours),
                Parameter("given", Parameter.VAR_KEYWORD),
            ]
        )
