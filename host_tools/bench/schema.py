"""Rivals with a protobuf schema: AWS IoT FleetWise's Edge agent, and Tesla's fleet telemetry.

The parts of their schemas that carry samples, built here at run time; field names and numbers are theirs.
"""

from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from host_tools.bench.samples import EPOCH_MS, Sample, Window
from host_tools.signals.signal import Signal

_TYPES = descriptor_pb2.FieldDescriptorProto
_ARN = "arn:aws:iotfleetwise:eu-central-1:111122223333:"
_VIN = "JF1ZNAA10D2700000"

_Fields = list[tuple[str, int, int | str, bool, bool]]  # name, number, type or message, repeated, in the oneof


def fleetwise(window: Window) -> list[bytes]:
    """VehicleData of aws/aws-iot-fleetwise-edge (interfaces/protobuf/schemas/edgeToCloud/vehicle_data.proto): all values as
    doubles, signal after signal, newest first, as its CollectionInspectionEngine collects them; then snappy, the raw format."""
    message = VehicleData(
        campaign_sync_id=_ARN + "campaign/pigtail", decoder_sync_id=_ARN + "decoder-manifest/pigtail",
        collection_event_id=(window.end_ms & 0xFFFFFF) << 8 | 1, collection_event_time_ms_epoch=EPOCH_MS + window.end_ms,
    )  # fmt: skip
    for own in window.by_signal().values():
        for s in reversed(own):
            value, since = window.signal(s).physical(s.raw), s.time_ms - window.end_ms
            message.captured_signals.add(relative_time_ms=since, signal_id=s.index + 1, double_value=value)
    return [bytes(cramjam.snappy.compress_raw(message.SerializeToString()))]


def tesla(window: Window) -> list[bytes]:
    """Payloads of teslamotors/fleet-telemetry (protos/vehicle_data.proto), one for each time at which there are samples; real
    numbers as doubles (issue 428), natural ones as long_value, bits as boolean_value. The envelope is not counted."""
    by_time: dict[int, list[Sample]] = {}
    for s in window.samples:
        by_time.setdefault(s.time_ms, []).append(s)
    return [_payload(window, EPOCH_MS + time_ms, own).SerializeToString() for time_ms, own in by_time.items()]


def _payload(window: Window, utc_ms: int, samples: list[Sample]) -> Any:
    created = timestamp_pb2.Timestamp(seconds=utc_ms // 1000, nanos=utc_ms % 1000 * 1_000_000)
    message = Payload(created_at=created, vin=_VIN)
    for s in samples:
        message.data.add(key=s.index + 1, value=_value(window.signal(s), s.raw))
    return message


def _value(signal: Signal, raw: int) -> Any:
    if signal.length == 1:
        return Value(boolean_value=bool(raw))
    physical = signal.physical(raw)
    is_natural = signal.scale.is_integer() and signal.offset.is_integer() and physical >= 0
    return Value(long_value=int(physical)) if is_natural else Value(double_value=physical)


def _messages(package: str, spec: dict[str, _Fields], *uses: str) -> list[Any]:
    """The classes of the messages in `spec`, in a file of their own that imports the files `uses`."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3", dependency=uses)
    for name, fields in spec.items():
        message = file.message_type.add(name=name)
        if any(field[4] for field in fields):
            message.oneof_decl.add(name="value")
        for field_name, number, kind, is_repeated, is_choice in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = _TYPES.LABEL_REPEATED if is_repeated else _TYPES.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = _TYPES.TYPE_MESSAGE, kind
            else:
                field.type = kind  # type: ignore[assignment]
            if is_choice:
                field.oneof_index = 0
    pool = descriptor_pool.Default()
    pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in spec]


VehicleData, _ = _messages(
    "fleetwise",
    {
        "VehicleData": [
            ("campaign_sync_id", 1, _TYPES.TYPE_STRING, False, False),
            ("decoder_sync_id", 2, _TYPES.TYPE_STRING, False, False),
            ("collection_event_id", 3, _TYPES.TYPE_UINT32, False, False),
            ("collection_event_time_ms_epoch", 4, _TYPES.TYPE_UINT64, False, False),
            ("captured_signals", 5, ".fleetwise.CapturedSignal", True, False),
        ],
        "CapturedSignal": [
            ("relative_time_ms", 1, _TYPES.TYPE_SINT64, False, False),
            ("signal_id", 2, _TYPES.TYPE_UINT32, False, False),
            ("double_value", 3, _TYPES.TYPE_DOUBLE, False, True),
        ],
    },
)
# `key` is an enum there, whose numbers are written as those of an int32
Payload, _, Value = _messages(
    "tesla",
    {
        "Payload": [
            ("data", 1, ".tesla.Datum", True, False),
            ("created_at", 2, ".google.protobuf.Timestamp", False, False),
            ("vin", 3, _TYPES.TYPE_STRING, False, False),
        ],
        "Datum": [
            ("key", 1, _TYPES.TYPE_INT32, False, False),
            ("value", 2, ".tesla.Value", False, False),
        ],
        "Value": [
            ("long_value", 3, _TYPES.TYPE_INT64, False, True),
            ("double_value", 5, _TYPES.TYPE_DOUBLE, False, True),
            ("boolean_value", 6, _TYPES.TYPE_BOOL, False, True),
        ],
    },
    "google/protobuf/timestamp.proto",
)
