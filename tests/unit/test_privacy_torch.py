"""A module of PyTorch under a person-level promise: the same sums, and the same refusals."""

import importlib.util
import os

import numpy as np
import pytest
from safetensors.numpy import load
from tests.unit.test_privacy_training import CLASSES, EXAMPLES, SLOTS, people

from safehold.errors import InvalidError
from safehold.privacy.account import calibrate
from safehold.privacy.release import SLACK
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.privacy.training.torch import TorchLearner, write_weights

if importlib.util.find_spec("torch") is None:
    if os.environ.get("CI"):
        pytest.fail("PyTorch is missing: install the extra torch", pytrace=False)
    pytest.skip("PyTorch is not installed: install safehold[torch]", allow_module_level=True)

import torch
from torch import nn

torch.set_num_threads(1)


class Tiny(nn.Module):
    """A perceptron over the values of an example."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(SLOTS, 8)
        self.out = nn.Linear(8, CLASSES)
        generator = torch.Generator().manual_seed(1)
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.3, generator=generator)

    def forward(self, values):
        return self.out(torch.tanh(self.hidden(values)))


def loss(module, one):
    each = nn.functional.cross_entropy(
        module(one["values"]), one["target"].long(), reduction="none"
    )
    return (each * one["weight"]).sum()


def data(count):
    found = people(count)
    # something that can be learned from the values: which of the first three is largest
    found["target"] = found["values"][:, :, :CLASSES].argmax(axis=2).astype(np.int32)
    return found


def total(learner, raw, present, bounds):
    found, within = learner.sum_clipped(learner.start(), raw, np.asarray(present, bool), bounds)
    return np.concatenate([value.ravel() for value in found.values()]), within


def test_the_sum_is_that_of_persons_clipped_one_by_one():
    raw, module = data(8), Tiny()
    learner = TorchLearner(module, loss)
    expected, inside = 0.0, 0
    for at in range(8):
        module.zero_grad()
        loss(
            module, {name: torch.from_numpy(column)[at] for name, column in raw.items()}
        ).backward()
        slope = np.concatenate([weight.grad.numpy().ravel() for weight in module.parameters()])
        inside += np.linalg.norm(slope) <= 0.4
        expected = expected + slope * min(1, 0.4 / np.linalg.norm(slope))
    found, within = total(learner, raw, np.ones(8), {"": 0.4})
    assert np.allclose(found, expected, atol=1e-5)
    assert within == inside


def test_one_person_moves_the_sum_by_the_bound_at_most():
    raw, learner = data(6), TorchLearner(Tiny(), loss)
    whole, _ = total(learner, raw, np.ones(6), {"": 0.05})
    for at in range(6):
        present = np.ones(6)
        present[at] = 0
        moved = np.linalg.norm(whole - total(learner, raw, present, {"": 0.05})[0])
        assert 0.045 < moved <= 0.05 * SLACK
    raw["values"][3] = np.inf
    assert np.isfinite(total(learner, raw, np.ones(6), {"": 0.05})[0]).all()


def test_each_layer_keeps_its_own_bound():
    learner = TorchLearner(Tiny(), loss)
    shares = Clip(bound=0.1, per_layer=True).shares(list(learner.start()), 0.1)
    found, _ = learner.sum_clipped(learner.start(), data(1), np.ones(1, bool), shares)
    for name, share in shares.items():
        assert np.linalg.norm(found[name]) <= share * SLACK


def test_a_module_learns_under_a_promise_and_leaves_as_safetensors():
    module, raw = Tiny(), data(200)
    plan = calibrate(epsilon_micro=8_000_000, delta_e12=10**6, rounds=15)
    learner = TorchLearner(module, loss)
    trained = train_private(learner, raw, plan=plan, clip=Clip(bound=0.3), steps=Steps(rate=2.0))
    learner.load(trained.params)
    other = data(201)
    with torch.no_grad():
        guess = module(torch.from_numpy(other["values"])).argmax(dim=-1).numpy()
    assert (guess == other["target"]).mean() > 0.45  # a third by chance
    assert {name: value.shape for name, value in load(write_weights(trained.params)).items()} == {
        name: tuple(weight.shape) for name, weight in module.named_parameters()
    }
    with pytest.raises(InvalidError):
        write_weights({"weight": np.array([np.nan])})
    assert raw["target"].shape == (200, EXAMPLES)


def test_what_would_remember_people_outside_the_clip_is_refused():
    for module in (nn.Sequential(nn.Linear(SLOTS, 4), nn.BatchNorm1d(4)), nn.Tanh()):
        with pytest.raises(InvalidError) as caught:
            TorchLearner(module, loss)
        assert caught.value.rule == "train.torch"
    frozen = Tiny()
    for weight in frozen.hidden.parameters():
        weight.requires_grad_(requires_grad=False)
    assert set(TorchLearner(frozen, loss).start()) == {"out.weight", "out.bias"}
