"""Runs other detectors of what is unusual for a bench, in an environment of their own; see ``make bench``.

``python sentinel_peers.py EVENTS.jsonl LEARN_DAYS PEER FEATURES BUDGET...`` prints one JSON object a budget: its alerts, and the
CPU-seconds of it all. Honest by construction: features of an event come from the events before it; a model is fitted on
past days and fitted anew each week; the threshold of a week is the one that would have raised BUDGET episodes a day for a
hundred principals in the seven days before it. A principal's crossings within 24 hours are one episode.
"""

import json
import sys
import time
from collections import Counter, defaultdict, deque
from datetime import datetime

import numpy as np

DAY = 86_400.0
WEEK = 7


def parse(path):
    events = []
    with open(path) as file:
        for line in file:
            one = json.loads(line)
            one["s"] = datetime.fromisoformat(one["t"]).timestamp()
            events.append(one)
    start = events[0]["s"] // DAY * DAY
    for one in events:
        one["day"] = int((one["s"] - start) // DAY)
    return events


def raw(events):
    """The columns as they are: names as numbers in the order in which they came."""
    codes = defaultdict(dict)

    def code(column, value):
        return float(codes[column].setdefault(value, len(codes[column])))

    return np.array(
        [
            [
                one["s"] % DAY / 3600, one["s"] // DAY % 7, code("kind", one["kind"]), code("role", one["role"]),
                code("action", one["action"]), code("segment", one["segment"]), code("purpose", one["purpose"]),
                code("object", one["objects"][0] if one["objects"] else ""), len(one["objects"]),
                np.log1p(one["rows"]), np.log1p(one["bytes"]), one["grant"] is None, one["outcome"] == "denied",
            ]
            for one in events
        ],
        dtype=float,
    )  # fmt: skip


class Habit:
    """What a principal did so far."""

    def __init__(self):
        self.count = Counter()
        self.size = {}
        self.hours = np.zeros(24)
        self.recent = deque()
        self.total = 0
        self.day = -1
        self.today = 0
        self.days = []
        self.volume = defaultdict(float)
        self.fresh = Counter()


def features(events):
    """What somebody who knows the problem would compute: novelty, habit, rate, size, grants, volume."""
    habits = defaultdict(Habit)
    role, pairs, grants, holders = Counter(), Counter(), {}, {}
    found = np.zeros((len(events), 24))
    for place, one in enumerate(events):
        me = habits[one["principal"]]
        if one["day"] != me.day:
            if me.day >= 0:
                me.days.append(me.today)
            me.day, me.today = one["day"], 0
        while me.recent and me.recent[0][0] < one["s"] - 3600:
            me.recent.popleft()
        five = sum(t >= one["s"] - 300 for t, _, _ in me.recent)
        spread = len({segment for _, segment, _ in me.recent})
        denied = sum(bad for _, _, bad in me.recent)
        action, segment = one["action"], one["segment"]
        size, rows = np.log1p(one["bytes"]), np.log1p(one["rows"])
        n, mean, var = me.size.get(action, (0, size, 1.0))
        hour = int(one["s"] % DAY // 3600)
        near = me.hours[hour] + 0.5 * (me.hours[hour - 1] + me.hours[(hour + 1) % 24])
        pair = tuple(sorted(one["objects"])) if len(one["objects"]) > 1 else None
        usual = np.mean(me.days[-20:]) if me.days else me.today + 1
        week = sum(me.volume[one["day"] - back] for back in range(7))
        before = sum(me.volume[one["day"] - back] for back in range(7, 28)) / 3
        grant = one["grant"]
        found[place] = (
            size, rows, (size - mean) / np.sqrt(var + 0.1) if n > 2 else 0.0,
            -np.log((me.count["s", segment] + 0.1) / (me.total + 1)) if segment else 0.0,
            -np.log((me.count["a", action] + 0.1) / (me.total + 1)),
            -np.log((min((me.count["o", name] for name in one["objects"]), default=me.total) + 0.1) / (me.total + 1)),
            -np.log((role[one["role"], action] + 1) / (role[one["role"]] + 10)),
            -np.log((role["team", one["team"], segment] + 1) / (role["team", one["team"]] + 10)) if segment else 0.0,
            -np.log((near + 0.5) / (me.total + 12)),
            1.0 / (1 + pairs[pair]) if pair else 0.0,
            1.0 / (1 + me.count["p", pair]) if pair else 0.0,
            np.log1p(five), np.log1p(len(me.recent)), spread, np.log1p(denied), me.today / (usual + 3),
            float(grant is None and bool(segment)), float(grant in grants and grants[grant] != segment and bool(segment)),
            float(grant in holders and holders[grant] != one["principal"]),
            np.log((week + 1e4) / (before + 1e4)) if one["day"] > 10 else 0.0,
            me.fresh[one["day"]] + me.fresh[one["day"] - 1] + me.fresh[one["day"] - 2],
            -np.log((me.count["u", one["purpose"]] + 0.1) / (me.total + 1)) if segment else 0.0,
            float(one["outcome"] == "denied"), one["s"] // DAY % 7 in (2, 3),
        )  # fmt: skip
        if segment and not me.count["s", segment]:
            me.fresh[one["day"]] += 1
        a = max(0.02, 1.0 / (n + 1))
        me.size[action] = (
            n + 1,
            mean + a * (size - mean),
            (1 - a) * (var + a * (size - mean) ** 2),
        )
        for key in (
            ("s", segment),
            ("a", action),
            ("p", pair),
            ("u", one["purpose"]),
            *(("o", name) for name in one["objects"]),
        ):
            me.count[key] += 1
        me.hours[hour] += 1
        me.total += 1
        me.today += 1
        me.volume[one["day"]] += one["bytes"]
        me.recent.append((one["s"], segment, one["outcome"] == "denied"))
        role[one["role"], action] += 1
        role[one["role"]] += 1
        role["team", one["team"], segment] += 1
        role["team", one["team"]] += 1
        pairs[pair] += 1
        if grant and segment:
            grants.setdefault(grant, segment)
            if not action.startswith("grant."):
                holders.setdefault(grant, one["principal"])
    return found


def batch(make):
    """Scores of a model that is fitted on past days each week, and asked a day at a time."""

    def score(matrix, days, learn):
        scores = np.full(len(days), -np.inf)
        last = int(days.max())
        for first in range(learn - WEEK, last + 1, WEEK):
            past = matrix[days < first]
            model = make().fit(past)
            for day in range(first, min(first + WEEK, last + 1)):
                today = days == day
                if today.any():
                    scores[today] = ask(model, matrix[today])
        return scores

    return score


def ask(model, rows):
    if hasattr(model, "score_samples"):
        return -model.score_samples(rows)
    return model.decision_function(rows)


def forest():
    from sklearn.ensemble import IsolationForest

    return batch(lambda: IsolationForest(n_estimators=200, max_samples=1024, random_state=0))


def ecod():
    from pyod.models.ecod import ECOD

    return batch(ECOD)


def trees():
    from river.anomaly import HalfSpaceTrees
    from river.preprocessing import MinMaxScaler

    def score(matrix, days, learn):
        model = MinMaxScaler() | HalfSpaceTrees(n_trees=25, height=12, window_size=2_000, seed=0)
        scores = np.zeros(len(days))
        for place, row in enumerate(matrix):
            one = dict(enumerate(row))
            scores[place] = model.score_one(one)
            model.learn_one(one)
        return scores

    return score


PEERS = {"isolation forest": forest, "ECOD": ecod, "half-space trees": trees}
SETS = {"raw": raw, "features": features}


def episodes(events, scores, threshold, chosen):
    """Crossings of one principal that lie within 24 hours of the first are one episode."""
    opened, found = {}, []
    for place in np.flatnonzero(chosen & (scores > threshold)):
        one = events[place]
        mine = opened.get(one["principal"])
        if mine is None or one["s"] >= mine["until"]:
            mine = {
                "t": one["t"],
                "principal": one["principal"],
                "events": [],
                "growing": True,
                "until": one["s"] + DAY,
            }
            opened[one["principal"]] = mine
            found.append(mine)
        mine["events"].append(int(place) + 1)
    return found


def threshold(events, scores, chosen, most):
    """The lowest threshold that raises no more than so many episodes among the chosen events."""
    values = np.unique(scores[chosen])
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if len(episodes(events, scores, values[middle], chosen)) <= most:
            high = middle
        else:
            low = middle + 1
    return values[low] if len(values) else np.inf


def alerts(events, scores, days, learn, budget):
    """Alerts after the days of learning; each crossing is an alert of its own within an episode that is counted once."""
    principals = len({one["principal"] for one in events})
    found = []
    for first in range(learn, int(days.max()) + 1, WEEK):
        before = (days >= first - WEEK) & (days < first)
        limit = threshold(events, scores, before, budget * WEEK * principals / 100)
        found += episodes(events, scores, limit, (days >= first) & (days < first + WEEK))
    return found


def main():
    path, learn, peer, kind, *budgets = sys.argv[1:]
    events, learn = parse(path), int(learn)
    try:
        score = PEERS[peer]()
    except ImportError as error:
        print(json.dumps({"missing": type(error).__name__}))
        return
    start = time.process_time()
    matrix = SETS[kind](events)
    days = np.array([one["day"] for one in events])
    scores = score(matrix, days, learn)
    spent = time.process_time() - start
    for budget in budgets:
        found = alerts(events, scores, days, learn, float(budget))
        print(json.dumps({"budget": float(budget), "cpu_s": spent, "alerts": found}))


if __name__ == "__main__":
    main()
