"""A module of PyTorch, person by person, behind the interface every learner has.

The gradient of one person's mean loss is taken with PyTorch's own autograd, clipped as a whole, and
added up; sampling, noise, steps and accounting are the same as for every other learner, and weights
leave as safetensors like any other model's. PyTorch is the extra ``torch``.

Limit: layers that mix the examples of a batch in their state (batch normalisation) keep what they saw
of people outside of what is clipped; such a module is refused.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.errors import InvalidError, UnavailableError
from safehold.privacy.training.learner import Params, People

Loss = Callable[[Any, Mapping[str, Any]], Any]
_RULE: Final = "train.torch"
_REMEMBERS: Final = ("running_mean", "running_var", "num_batches_tracked")


class TorchLearner:
    """A user's module, trained under a promise about persons.

    Args:
        module: The module. Its present weights are where training starts; they must follow from
            public facts. Frozen parameters (``requires_grad`` false) are left alone.
        loss: ``loss(module, person) -> number``: the mean loss of one person's examples; ``person``
            holds that person's arrays as tensors, padding included, which must weigh nothing.

    Raises:
        UnavailableError: PyTorch is not installed.
        InvalidError: The module would remember what it saw (batch normalisation), or has nothing to
            train.
    """

    chunk = 1

    def __init__(self, module: Any, loss: Loss) -> None:
        try:
            self._torch: Any = importlib.import_module("torch")
        except ImportError:
            raise UnavailableError(
                "a PyTorch module needs PyTorch, which is not installed",
                rule="extra.torch",
                fix="install safehold[torch]",
            ) from None
        self._module, self._loss = module, loss
        self._weights = {
            name: weight for name, weight in module.named_parameters() if weight.requires_grad
        }
        if not self._weights:
            raise InvalidError("the module has nothing to train", rule=_RULE)
        if any(name.endswith(_REMEMBERS) for name, _ in module.named_buffers()):
            raise InvalidError(
                "the module keeps means of what it saw, outside of what is clipped",
                rule=_RULE,
                fix="use group or layer normalisation in place of batch normalisation",
            )
        # no dropout: its masks come from a generator that can be seeded, and nothing here may be
        module.eval()

    def start(self) -> Params:
        """Return the module's present weights."""
        return {
            name: weight.detach().cpu().numpy().astype(np.float64)
            for name, weight in self._weights.items()
        }

    def prepare(self, people: People) -> People:
        """Return people as they are."""
        return people

    def sum_clipped(
        self,
        params: Params,
        people: People,
        present: NDArray[np.bool_],
        bounds: Mapping[str, float],
    ) -> tuple[Params, float]:
        """Return the sum of clipped gradients; see ``Learner``."""
        torch = self._torch
        self.load(params)
        names, weights = list(self._weights), list(self._weights.values())
        total = [torch.zeros_like(weight) for weight in weights]
        within = 0.0
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(column)) for name, column in people.items()
        }
        for at, here in enumerate(present):
            # an empty seat does the same work, so that time does not tell how many were drawn
            one = {name: column[at] for name, column in tensors.items()}
            found = torch.autograd.grad(
                self._loss(self._module, one), weights, allow_unused=True, materialize_grads=True
            )
            norms = torch.stack([torch.linalg.vector_norm(slope) for slope in found])
            if "" in bounds:
                norms = torch.linalg.vector_norm(norms).expand(len(names))
                limits = torch.full((len(names),), bounds[""])
            else:
                limits = torch.tensor([bounds[name] for name in names])
            counts = bool(here) and bool(torch.isfinite(norms).all())
            factors = torch.clamp(limits / torch.clamp(norms, min=1e-30), max=1.0)
            for whole, slope, factor in zip(total, found, factors, strict=True):
                # a slope that is not finite must not be multiplied into the sum, not even by zero
                whole.add_(torch.where(torch.tensor(counts), slope * factor, 0.0))
            within += float(counts and bool((norms <= limits).all()))
        return {
            name: whole.numpy().astype(np.float64) for name, whole in zip(names, total, strict=True)
        }, within

    def load(self, params: Params) -> None:
        """Put trained parameters into the module."""
        with self._torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(self._torch.from_numpy(params[name]).to(weight.dtype))


def write_weights(params: Params) -> bytes:
    """Return parameters as a safetensors file, single precision, without metadata.

    Args:
        params: Of a run, by name.

    Raises:
        InvalidError: A weight is not finite.
    """
    from safetensors.numpy import save  # noqa: PLC0415

    if not all(np.isfinite(value).all() for value in params.values()):
        raise InvalidError("a weight is not finite", rule=_RULE)
    data: bytes = save(
        {name: np.ascontiguousarray(value, np.float32) for name, value in sorted(params.items())}
    )
    return data
