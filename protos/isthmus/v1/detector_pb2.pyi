from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_BENIGN: _ClassVar[Verdict]
    VERDICT_SUSPECT: _ClassVar[Verdict]
    VERDICT_ADVERSARIAL: _ClassVar[Verdict]

class BadImagePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BAD_IMAGE_POLICY_UNSPECIFIED: _ClassVar[BadImagePolicy]
    BAD_IMAGE_POLICY_REFUSE_REQUEST: _ClassVar[BadImagePolicy]
    BAD_IMAGE_POLICY_REPORT_PER_IMAGE: _ClassVar[BadImagePolicy]

class PixelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_TYPE_UNSPECIFIED: _ClassVar[PixelType]
    PIXEL_TYPE_UINT8: _ClassVar[PixelType]
    PIXEL_TYPE_FLOAT32: _ClassVar[PixelType]

class Layout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAYOUT_UNSPECIFIED: _ClassVar[Layout]
    LAYOUT_NHWC: _ClassVar[Layout]
    LAYOUT_NCHW: _ClassVar[Layout]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_INTERACTIVE: _ClassVar[Priority]
    PRIORITY_BULK: _ClassVar[Priority]
VERDICT_UNSPECIFIED: Verdict
VERDICT_BENIGN: Verdict
VERDICT_SUSPECT: Verdict
VERDICT_ADVERSARIAL: Verdict
BAD_IMAGE_POLICY_UNSPECIFIED: BadImagePolicy
BAD_IMAGE_POLICY_REFUSE_REQUEST: BadImagePolicy
BAD_IMAGE_POLICY_REPORT_PER_IMAGE: BadImagePolicy
PIXEL_TYPE_UNSPECIFIED: PixelType
PIXEL_TYPE_UINT8: PixelType
PIXEL_TYPE_FLOAT32: PixelType
LAYOUT_UNSPECIFIED: Layout
LAYOUT_NHWC: Layout
LAYOUT_NCHW: Layout
PRIORITY_UNSPECIFIED: Priority
PRIORITY_INTERACTIVE: Priority
PRIORITY_BULK: Priority

class EncodedImages(_message.Message):
    __slots__ = ("images",)
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, images: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ImageTensor(_message.Message):
    __slots__ = ("data", "pixel_type", "shape", "layout")
    DATA_FIELD_NUMBER: _ClassVar[int]
    PIXEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    pixel_type: PixelType
    shape: _containers.RepeatedScalarFieldContainer[int]
    layout: Layout
    def __init__(self, data: _Optional[bytes] = ..., pixel_type: _Optional[_Union[PixelType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., layout: _Optional[_Union[Layout, str]] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("encoded", "tensor", "bad_image_policy", "include_logits", "include_profile", "priority")
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    BAD_IMAGE_POLICY_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LOGITS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROFILE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    encoded: EncodedImages
    tensor: ImageTensor
    bad_image_policy: BadImagePolicy
    include_logits: bool
    include_profile: bool
    priority: Priority
    def __init__(self, encoded: _Optional[_Union[EncodedImages, _Mapping]] = ..., tensor: _Optional[_Union[ImageTensor, _Mapping]] = ..., bad_image_policy: _Optional[_Union[BadImagePolicy, str]] = ..., include_logits: _Optional[bool] = ..., include_profile: _Optional[bool] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("class_index", "label", "probability")
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    class_index: int
    label: str
    probability: float
    def __init__(self, class_index: _Optional[int] = ..., label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class PathCurve(_message.Message):
    __slots__ = ("path", "alphas", "losses", "margins")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ALPHAS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    MARGINS_FIELD_NUMBER: _ClassVar[int]
    path: str
    alphas: _containers.RepeatedScalarFieldContainer[float]
    losses: _containers.RepeatedScalarFieldContainer[float]
    margins: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, path: _Optional[str] = ..., alphas: _Optional[_Iterable[float]] = ..., losses: _Optional[_Iterable[float]] = ..., margins: _Optional[_Iterable[float]] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("prediction", "score", "p_value", "verdict", "barrier_height", "barrier_gap", "logits", "profile", "stratum")
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    P_VALUE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    BARRIER_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BARRIER_GAP_FIELD_NUMBER: _ClassVar[int]
    LOGITS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    STRATUM_FIELD_NUMBER: _ClassVar[int]
    prediction: Prediction
    score: float
    p_value: float
    verdict: Verdict
    barrier_height: float
    barrier_gap: float
    logits: _containers.RepeatedScalarFieldContainer[float]
    profile: _containers.RepeatedCompositeFieldContainer[PathCurve]
    stratum: int
    def __init__(self, prediction: _Optional[_Union[Prediction, _Mapping]] = ..., score: _Optional[float] = ..., p_value: _Optional[float] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., barrier_height: _Optional[float] = ..., barrier_gap: _Optional[float] = ..., logits: _Optional[_Iterable[float]] = ..., profile: _Optional[_Iterable[_Union[PathCurve, _Mapping]]] = ..., stratum: _Optional[int] = ...) -> None: ...

class ImageResult(_message.Message):
    __slots__ = ("evidence", "error")
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    evidence: Evidence
    error: _status_pb2.Status
    def __init__(self, evidence: _Optional[_Union[Evidence, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("results", "bundle_digest", "forwards_per_image")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FORWARDS_PER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ImageResult]
    bundle_digest: str
    forwards_per_image: int
    def __init__(self, results: _Optional[_Iterable[_Union[ImageResult, _Mapping]]] = ..., bundle_digest: _Optional[str] = ..., forwards_per_image: _Optional[int] = ...) -> None: ...

class ScoreStreamRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: ScoreRequest
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[ScoreRequest, _Mapping]] = ...) -> None: ...

class ScoreStreamResponse(_message.Message):
    __slots__ = ("id", "response", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    response: ScoreResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., response: _Optional[_Union[ScoreResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class GetDetectorRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetDetectorResponse(_message.Message):
    __slots__ = ("bundle_digest", "version", "labels", "image_format", "calibration", "limits", "forwards_per_image", "paths")
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    FORWARDS_PER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    bundle_digest: str
    version: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    image_format: ImageFormat
    calibration: Calibration
    limits: Limits
    forwards_per_image: int
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, bundle_digest: _Optional[str] = ..., version: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., image_format: _Optional[_Union[ImageFormat, _Mapping]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., forwards_per_image: _Optional[int] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class ImageFormat(_message.Message):
    __slots__ = ("height", "width", "channels")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    channels: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., channels: _Optional[int] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("suspect_rate", "adversarial_rate", "images", "scorer", "accuracy", "images_per_stratum")
    SUSPECT_RATE_FIELD_NUMBER: _ClassVar[int]
    ADVERSARIAL_RATE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    SCORER_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    IMAGES_PER_STRATUM_FIELD_NUMBER: _ClassVar[int]
    suspect_rate: float
    adversarial_rate: float
    images: int
    scorer: str
    accuracy: float
    images_per_stratum: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, suspect_rate: _Optional[float] = ..., adversarial_rate: _Optional[float] = ..., images: _Optional[int] = ..., scorer: _Optional[str] = ..., accuracy: _Optional[float] = ..., images_per_stratum: _Optional[_Iterable[int]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_images", "max_image_bytes", "max_image_pixels", "max_message_bytes")
    MAX_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_images: int
    max_image_bytes: int
    max_image_pixels: int
    max_message_bytes: int
    def __init__(self, max_images: _Optional[int] = ..., max_image_bytes: _Optional[int] = ..., max_image_pixels: _Optional[int] = ..., max_message_bytes: _Optional[int] = ...) -> None: ...
