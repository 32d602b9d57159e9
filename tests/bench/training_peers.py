"""Trains with PyTorch and with Opacus for a bench, in an environment of its own; see ``peers.Peer``.

Orders: ``data`` (an .npz of people with one example each, and where a model starts), then ``train`` with way (``plain``,
``hooks`` or ``ghost``) and the numbers of a run; the answer has examples, CPU-seconds of the loop, and how many of the held-out are right.
"""

import json
import sys
import time
import warnings


def model_of(told):
    import torch
    from torch import nn

    class Perceptron(nn.Module):
        def __init__(self):
            super().__init__()
            start = {
                name: torch.tensor(told[f"param_{name}"], dtype=torch.float32) for name in NAMES
            }
            self.pad = start["word"].shape[0] - 1
            self.action = nn.Embedding.from_pretrained(start["action"], freeze=False)
            self.word = nn.Embedding.from_pretrained(start["word"], freeze=False)
            self.hidden = linear(start["hidden"], start["hidden_bias"])
            self.out = linear(start["out"], start["out_bias"])
            self.gelu = nn.GELU(approximate="tanh")

        def forward(self, past, words):
            seen = (words < self.pad).unsqueeze(-1)
            bag = (self.word(words) * seen).sum(-2) / seen.sum(-2).clamp(min=1)
            wide = torch.cat([self.action(past).flatten(1), bag], dim=1)
            return self.out(self.gelu(self.hidden(wide)))

    def linear(weight, bias):
        layer = nn.Linear(*weight.shape)
        with torch.no_grad():
            layer.weight.copy_(weight.T)
            layer.bias.copy_(bias)
        return layer

    return Perceptron()


NAMES = ("action", "word", "hidden", "hidden_bias", "out", "out_bias")


def train(told, order):
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    columns = [torch.tensor(told[name][:, 0]).long() for name in ("past", "words", "target")]
    dataset = TensorDataset(*columns)
    share, rounds = order["share"], order["rounds"]
    model = model_of(told)
    optimizer = torch.optim.SGD(model.parameters(), lr=order["rate"], momentum=order["momentum"])
    loader = DataLoader(dataset, batch_size=max(1, round(share * len(dataset))), shuffle=True)
    loss, noise = nn.CrossEntropyLoss(), 0.0
    if order["way"] != "plain":
        from opacus import PrivacyEngine
        from opacus.accountants.utils import get_noise_multiplier

        noise = get_noise_multiplier(
            target_epsilon=order["epsilon"], target_delta=order["delta"], sample_rate=share, steps=rounds,
            accountant="prv" if order["prv"] else "rdp",
        )  # fmt: skip
        more = {"grad_sample_mode": "ghost", "criterion": loss} if order["way"] == "ghost" else {}
        made = PrivacyEngine().make_private(
            module=model, optimizer=optimizer, data_loader=loader, noise_multiplier=noise,
            max_grad_norm=order["bound"], poisson_sampling=True, **more,
        )  # fmt: skip
        model, optimizer, loader = made[0], made[1], made[-1]
        if more:
            loss = made[2]
    done, examples, start = 0, 0, time.process_time()
    while done < rounds:
        for past, words, target in loader:
            optimizer.zero_grad()
            if len(target):
                loss(model(past, words), target).backward()
                optimizer.step()
            done, examples = done + 1, examples + len(target)
            if done == rounds:
                break
    spent = time.process_time() - start
    with torch.no_grad():
        inner = getattr(model, "_module", model)
        held = [
            torch.tensor(told[f"test_{name}"][:, 0]).long() for name in ("past", "words", "target")
        ]
        right = float((inner(held[0], held[1]).argmax(1) == held[2]).float().mean())
    return {"examples": examples, "seconds": spent, "right": right, "noise": noise}


def main():
    told = {}
    for text in sys.stdin:
        order = json.loads(text)
        try:
            if order["do"] == "data":
                import numpy as np

                told, answer = dict(np.load(order["file"])), {"loaded": True}
            else:
                answer = train(told, order)
        except ImportError as error:
            answer = {"missing": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
