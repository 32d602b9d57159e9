"""Runs other engines of policies for a bench, in an environment of their own; see ``peers.Peer``.

Orders: ``load`` (rego, rules, requests), then ``rego`` or ``casbin`` with ``batch`` and ``count``; the answer has the
decisions and the CPU-seconds that they took.
"""

import json
import sys
import time

MODEL = """
[request_definition]
r = principal, action, resource, context
[policy_definition]
p = actions, rule, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = named(r.action, p.actions) && eval(p.rule)
"""


class Thing:
    """An object of a request: Casbin reads attributes."""

    def __init__(self, told):
        self.__dict__.update(told)


class Rego:
    def __init__(self, told):
        from regopy import Interpreter

        self.rego = Interpreter()
        self.rego.add_module("charter", told["rego"])
        self.single = self.rego.build("x := data.charter.allow")
        self.batch = self.rego.build("x := data.charter.allowed")
        self.requests = [{**one, "number": at} for at, one in enumerate(told["requests"])]

    def one(self, at):
        return self.ask(self.requests[at], self.single)

    def many(self, count):
        found = set(self.ask({"requests": self.requests[:count]}, self.batch))
        return [at in found for at in range(count)]

    def ask(self, given, bundle):
        self.rego.set_input(given)
        answer = self.rego.query_bundle(bundle)  # held: its nodes lie in it
        return json.loads(answer.binding("x").json())


class Casbin:
    def __init__(self, told):
        import logging

        import casbin

        logging.disable(logging.CRITICAL)
        model = casbin.Model()
        model.load_model_from_text(MODEL)
        self.enforcer = casbin.Enforcer(model)
        self.enforcer.add_function(
            "named", lambda name, some: some == "*" or name in some.split(",")
        )
        self.enforcer.add_function("meets", lambda one, two: not set(one).isdisjoint(two))
        self.enforcer.add_function("holds_all", lambda one, two: set(two) <= set(one))
        self.enforcer.add_function("size", len)
        self.enforcer.add_policies([list(rule) for rule in told["rules"]])
        self.requests = [
            (Thing(one["principal"]), one["action"], Thing(one["resource"]), Thing(one["context"]))
            for one in told["requests"]
        ]

    def one(self, at):
        return bool(self.enforcer.enforce(*self.requests[at]))

    def many(self, count):
        return [bool(one) for one in self.enforcer.batch_enforce(self.requests[:count])]


ENGINES = {"rego": Rego, "casbin": Casbin}


def main():
    told, ready = {}, {}
    for text in sys.stdin:
        order = json.loads(text)
        if order["do"] == "load":
            told, ready = order, {}
            print(json.dumps({"loaded": len(told["requests"])}), flush=True)
            continue
        name, count = order["do"], order["count"]
        try:
            if name not in ready:
                ready[name] = ENGINES[name](told)
                ready[name].one(0)
        except ImportError as error:
            print(json.dumps({"missing": str(error)}), flush=True)
            continue
        engine = ready[name]
        start = time.process_time()
        found = engine.many(count) if order["batch"] else [engine.one(at) for at in range(count)]
        print(json.dumps({"allowed": found, "seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main()
