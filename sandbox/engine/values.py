"""Property values between the engine's wire form and plain Python."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf import struct_pb2

# The engine's own marks (pulumi: sdk/python/lib/pulumi/runtime/rpc.py).
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the mark of a secret, not one)


class Unknown:
    """A value that is not known before the update runs."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The values as Python has them: whole numbers are ints, secrets are bare, unknown ones are `UNKNOWN`."""
    return {name: _decode(value) for name, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    form = value.WhichOneof("kind")
    return _DECODERS[form](value) if form in _DECODERS else None


def _decode_string(value: struct_pb2.Value) -> Any:
    return UNKNOWN if value.string_value == _UNKNOWN else value.string_value


def _decode_number(value: struct_pb2.Value) -> int | float:
    number = value.number_value
    return int(number) if number.is_integer() else number


def _decode_struct(value: struct_pb2.Value) -> Any:
    fields = value.struct_value.fields
    if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
        return _decode(fields["value"])
    return decode(value.struct_value)


_DECODERS: dict[str, Callable[[struct_pb2.Value], Any]] = {
    "string_value": _decode_string,
    "number_value": _decode_number,
    "bool_value": lambda value: value.bool_value,
    "list_value": lambda value: [_decode(item) for item in value.list_value.values],
    "struct_value": _decode_struct,
}


def encode(values: dict[str, Any], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """The wire form; those of the top-level names in `secrets` that hold something are marked secret."""
    struct = struct_pb2.Struct()
    for name, value in values.items():
        marked = value
        if name in secrets and value is not None:
            marked = {_SIGNATURE: _SECRET, "value": value}
        struct.fields[name].CopyFrom(_encode(marked))
    return struct


def _encode(value: Any) -> struct_pb2.Value:
    return _ENCODERS[type(value)](value)


_ENCODERS: dict[type, Callable[[Any], struct_pb2.Value]] = {
    type(None): lambda _: struct_pb2.Value(null_value=struct_pb2.NULL_VALUE),
    Unknown: lambda _: struct_pb2.Value(string_value=_UNKNOWN),
    bool: lambda value: struct_pb2.Value(bool_value=value),
    int: lambda value: struct_pb2.Value(number_value=value),
    float: lambda value: struct_pb2.Value(number_value=value),
    str: lambda value: struct_pb2.Value(string_value=value),
    dict: lambda value: struct_pb2.Value(struct_value=encode(value)),
    list: lambda value: struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in value])),
}
