"""The kinds of values that the API takes, each bounded; what stands in a signed paper is passed on as it came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

LARGEST: Final = 2**53 - 1
PLAIN: Final = (
    r"^[^\x00-\x1f\x7f/?#\\]+$"  # nothing that ends a path, and nothing that moves a terminal
)

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=PLAIN),
    Field(examples=["train_ui_agent"]),
]
Word = Annotated[str, StringConstraints(max_length=512), Field(examples=["train"])]
Text = Annotated[str, StringConstraints(max_length=20_000), Field(examples=["ticket ML-12"])]
Script = Annotated[str, StringConstraints(max_length=131_072)]
Digest = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(description="SHA-256, hexadecimal")
]
Base64 = Annotated[
    str,
    StringConstraints(max_length=262_144, pattern=r"^[A-Za-z0-9+/=_-]*$"),
    Field(description="base64"),
]
Value = Annotated[
    str,
    StringConstraints(max_length=16_384),
    Field(description="a signature or a public key: base64 of Ed25519, or what a passkey gave"),
]
Whole = Annotated[int, Field(ge=0, le=LARGEST, examples=[17])]
Micro = Annotated[int, Field(ge=0, le=LARGEST, description="millionths")]
Flag = bool
Paper = Annotated[
    dict[str, JsonValue],
    Field(description="a JSON object that is passed on exactly; docs/reference says its fields"),
]
Signed = Annotated[
    str,
    StringConstraints(max_length=200_000),
    Field(description="the exact text that was signed, JSON"),
]


class Given(BaseModel):
    """What a request may carry: these fields and no other, each of this kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Seated(Given):
    """A signature of a seat of the board."""

    seat: Word
    value: Value


class Order(Given):
    """An order that seats signed."""

    order: Signed
    signatures: Annotated[list[Seated], Field(max_length=32)]


class Permit(Given):
    """The right to one use: a capability, and the proof that its holder asks, over a fresh nonce."""

    token: Annotated[str, StringConstraints(max_length=65_536)]
    nonce: Base64
    proof: Value


class Nothing(Given):
    """No fields."""


EXAMPLE_NAMES: Final[Mapping[str, str]] = {
    "person": "emil",
    "request": "grant_01m8d68e68fe5s17d1me53jt91",
    "grant": "grant_01m8d68e68fe5s17d1me53jt91",
    "artifact": "art_01m8d69151f6r89702xr1181e1",
}
