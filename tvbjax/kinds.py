"""Arguments of another kind than they should be, told in one way."""


def check_kind(where: str, value: object, kind: type | tuple[type, ...], example: str) -> None:
    """Raises `TypeError` where `value` is no `kind`. `where`: the argument, as `"Bold: kernel"`."""
    if isinstance(value, kind):
        return
    if isinstance(value, type) and issubclass(value, kind):
        name = value.__name__
        raise TypeError(f"{where} is the class {name}; give an instance: {name}(...).")
    raise TypeError(f"{where} is {value!r:.80}; give e.g. {example}.")
