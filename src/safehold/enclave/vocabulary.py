"""The closed vocabulary of UI actions: public words fixed before any data is seen.

A vocabulary built from data tells which actions were seen at all, and a rare one may belong to one
person. So the caller names the words (docs/adr/0006-public-vocabulary.md); whatever else happens
becomes ``<other>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.canonical import digest
from safehold.errors import InvalidError

OTHER: Final = "<other>"
NONE: Final = "<none>"
MOST_TOKENS: Final = 1024
MOST_APPS: Final = 256
_WORD: Final = re.compile(r"[ -~]{1,64}")

KEYS: Final = ("KEY|ENTER", "KEY|TAB", "KEY|BKSP", "KEY|DEL", "KEY|OTHER")
PLAIN: Final = ("TYPE", "SCROLL", "DRAG", "ASK|ai", *KEYS)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Closed lists of action words and applications; place 0 is ``<other>``.

    Args:
        tokens: Action words, ``<other>`` first.
        apps: Application ids, ``<other>`` and ``<none>`` first.
    """

    tokens: tuple[str, ...]
    apps: tuple[str, ...]
    _token: dict[str, int] = field(init=False, repr=False, compare=False)
    _app: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_token", {word: at for at, word in enumerate(self.tokens)})
        object.__setattr__(self, "_app", {word: at for at, word in enumerate(self.apps)})

    @classmethod
    def from_spec(cls, raw: Mapping[str, Any]) -> Vocabulary:
        """Read the lists ``vocabulary`` and ``apps`` of a recipe's spec.

        Raises:
            InvalidError: A list is missing, too long, has doubles or a word that is not 1 to 64
                printable
                ASCII characters.
        """
        tokens = _words(raw.get("vocabulary"), field="vocabulary", most=MOST_TOKENS)
        apps = _words(raw.get("apps"), field="apps", most=MOST_APPS)
        return cls(
            (OTHER, *(word for word in tokens if word != OTHER)),
            (OTHER, NONE, *(word for word in apps if word not in (OTHER, NONE))),
        )

    def token(self, word: str) -> int:
        """Return the place of an action word: itself, without its last part, or ``<other>``."""
        while word not in self._token and word.count("|") > 1:
            word = word.rpartition("|")[0]
        return self._token.get(word, 0)

    def app(self, word: str | None) -> int:
        """Return the place of an application."""
        return 1 if word is None else self._app.get(word, 0)

    def digest(self) -> str:
        """Return the SHA-256 of both lists, in hex; a model names it as its vocabulary."""
        return digest({"tokens": list(self.tokens), "apps": list(self.apps)}).hex()

    def to_spec(self) -> dict[str, list[str]]:
        """Return the two lists as spec keys."""
        return {"vocabulary": list(self.tokens), "apps": list(self.apps)}


def _words(raw: Any, *, field: str, most: int) -> Sequence[str]:
    if not isinstance(raw, list | tuple) or not 1 <= len(raw) <= most:
        raise InvalidError(
            f"{field} must be a list of 1 to {most} words",
            rule="enclave.vocabulary",
            fix="name the public words; a vocabulary taken from the data would leak it",
            field=field,
        )
    if len(set(raw)) != len(raw) or not all(
        isinstance(word, str) and _WORD.fullmatch(word) for word in raw
    ):
        raise InvalidError(
            f"{field} must hold different words of 1 to 64 printable ASCII characters",
            rule="enclave.vocabulary",
            field=field,
        )
    return raw


def _clicks(roles: str) -> tuple[str, ...]:
    return tuple(f"CLICK|{role}" for role in roles.split())


# what the synthetic workforce can do; a test holds it against the workforce's grammar
WORKFORCE: Final = Vocabulary.from_spec(
    {
        "vocabulary": [
            *PLAIN,
            "SEND|chat",
            "SEND|teamchat",
            *_clicks(
                "button|back button|cancel button|copy button|next button|ok button|reply "
                "button|save button|send button|submit cell|grid checkbox|confirm "
                "combobox|status icon|window "
                "link|channel link|person link|record link|result menu|edit menu|file menu|insert "
                "menuitem|export menuitem|find menuitem|new menuitem|save option|item row|item "
                "tab|details tab|main textbox|body textbox|field textbox|message textbox|prompt "
                "textbox|search"
            ),
        ],
        "apps": [
            "editor", "spreadsheet", "ticketing", "crm", "browser", "mail", "chat", "assistant",
        ],
    }
)  # fmt: skip

# elements of HTML (WHATWG HTML, index of elements) that MiniWoB++ pages are made of, and the
# public class names of its page templates and of jQuery UI
MINIWOB: Final = Vocabulary.from_spec(
    {
        "vocabulary": [
            *PLAIN,
            *_clicks(
                "a body button canvas circle col div ellipse fieldset form g h1 h2 h3 h4 h5 h6 hr "
                "html i img input label legend li line ol optgroup option p path polygon polyline "
                "rect select span strong sub sup svg table tbody td text textarea th thead tr "
                "tspan ul input_button input_checkbox input_date input_number input_password "
                "input_radio "
                "input_search input_submit input_text input_time "
                "a|cal-day a|page-link a|ui-state-default a|ui-tabs-anchor button|secondary-action "
                "div|button-link div|email-body div|email-sender div|email-subject div|icon "
                "div|tnum-button div|ui-datepicker-header div|ui-menu-item-wrapper h2|closed "
                "h3|ui-accordion-header input_submit|button input_text|forward-sender "
                "input_text|hasdatepicker input_text|text-input-pad input_text|text-input "
                "input_text|ui-autocomplete-input label|css-lbl label|right-link "
                "li|input-selection li|menu-user li|share span|alink span|like span|more "
                "span|reply span|retweet span|star span|trash span|ui-icon "
                "span|ui-slider-handle"
            ),
        ],
        "apps": ["miniwob"],
    }
)
