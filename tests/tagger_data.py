"""A small world to train a tagger on: a few names, words and texts, no package beyond the core."""

from __future__ import annotations

from safehold.dlp.tagger.composer import Composer
from safehold.dlp.tagger.lists import Lists
from safehold.dlp.tagger.model import Model
from safehold.dlp.tagger.train import Recipe, lists_gazetteer, train_model

LISTS = Lists(
    first={"en_US": ["Alice", "Robert", "Carla", "Denis", "Erika", "Frederik"]},
    last={"en_US": ["Underhill", "Baggins", "Mortensen", "Quisling", "Rosenthal"]},
    cities=[("Lisbon", 500_000), ("Rotterdam", 600_000), ("Winnipeg", 700_000)],
    countries=["Portugal", "Canada", "Norway"],
    states=["Ohio", "Manitoba"],
    common=["the", "and", "report", "meeting", "please", "review", "before", "lunch", "ticket"]
    * 30,
    pairs=[("the", "report", 9), ("report", "and", 7), ("and", "the", 8), ("please", "review", 5)],
)
SMALL = Recipe(seed=7, composed=1_500, rounds=3, batch=4_000)


def small_model(seed: int = 7, composed: int = SMALL.composed) -> Model:
    """Train on made-up text alone, within seconds."""
    recipe = Recipe(seed=seed, composed=composed, rounds=SMALL.rounds, batch=SMALL.batch)
    composer = Composer(LISTS, seed=seed)
    texts = [composer.worn(composer.text()) for _ in range(recipe.composed)]
    return train_model(texts, lists_gazetteer(LISTS), recipe, about={"seed": seed})
