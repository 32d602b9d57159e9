"""Changing the log's key, and what has to follow it outside the log.

The journal is what decides: it names the keys that sign, in the transaction of the entry that
changes them. Seeds, the local witness's trust and the policy follow; a crash between any two steps
leaves something that ``settle`` brings back to what the journal says when the keeper starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from safehold import ids
from safehold.errors import InvalidError, TamperedError
from safehold.keeper.server import Report
from safehold.ledger import Ledger, LogSigner, Witness
from safehold.ledger.files import replace_file
from safehold.ledger.panel import Panel, policy_logs
from safehold.settings import Home
from safehold.vault import Vault

LOG_KEY: Final = "ledger-signing-seed"  # one seed, or those of both keys while one is changed
SEED: Final = 32  # bytes


class Rotation:
    """Begins and ends a change of the log's key.

    Args:
        home: Where policy and list of witnesses lie.
        vault: Where the seeds are sealed.
        ledger: The log.
        local: The home's own witness.
    """

    def __init__(self, home: Home, *, vault: Vault, ledger: Ledger, local: Witness) -> None:
        self._home, self._vault, self._ledger, self._local = home, vault, ledger, local

    def rotate(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take one step: ``begin`` lets a new key sign beside the old, ``retire`` ends the old one."""
        match arguments.get("step"):
            case "begin":
                return self.begin()
            case "retire":
                return self.retire()
            case _:
                raise InvalidError("begin or retire", rule="ledger.rotate", fix="--retire to end")

    def begin(self) -> dict[str, Any]:
        """Let a new key sign beside the present one.

        Raises:
            ConflictError: A change is under way.
        """
        self.settle()
        seeds, fresh = self._seeds(), ids.random_bytes(SEED)
        new = LogSigner(fresh, name=self._origin)
        if len(seeds) == 1:  # otherwise the ledger refuses, and nothing may be lost
            self._vault.seal_secret(LOG_KEY, seeds[0] + fresh)
            self._local.trust(new.vkey.text())
            self._write_policy((*new.policy_keys, *self._ledger.policy_keys))
        receipt = self._ledger.introduce_key(new)
        self._ledger.publish()
        return {
            "entry": receipt.index,
            "signing": list(self._ledger.vkeys),
            "next": "have every remote witness trust the new key, then: safehold ledger rotate --retire",
        }

    def retire(self) -> dict[str, Any]:
        """Let the new key sign alone from now on, and forget the old one's seed.

        Raises:
            ConflictError: No change is under way, or too few witnesses know the new key.
        """
        receipt = self._ledger.retire_key()
        self._ledger.publish()
        self.settle()
        return {
            "entry": receipt.index,
            "signing": list(self._ledger.vkeys),
            "next": "have every remote witness distrust the old key; hand out the new policy",
        }

    def settle(self) -> None:
        """Bring seeds, the local witness's trust and the policy to what the journal says.

        Raises:
            TamperedError: The policy trusts none of the keys that the journal names.
        """
        keys, named = self._ledger.vkeys, policy_logs(self._home.policy_file)
        if not set(keys) & set(named):
            raise TamperedError(
                "the policy outside the home trusts another log",
                rule="ledger.policy",
                fix="put back the home or the policy that belong together",
            )
        trusted = [key.text() for key in self._local.logs() if key.name == self._origin]
        for key in set(keys) - set(trusted):
            self._local.trust(key)
        if set(named) != set(self._ledger.policy_keys):
            self._write_policy(self._ledger.policy_keys)
        for key in set(trusted) - set(keys):
            self._local.distrust(key)
        seeds = self._seeds()
        used = [seed for seed in seeds if LogSigner(seed, name=self._origin).vkey.text() in keys]
        if used != seeds:
            self._vault.seal_secret(LOG_KEY, b"".join(used))

    @property
    def _origin(self) -> str:
        return self._ledger.origin

    def _seeds(self) -> list[bytes]:
        return split_seeds(self._vault.open_secret(LOG_KEY))

    def _write_policy(self, logs: Sequence[str]) -> None:
        text = Panel.read(self._home.witnesses_file).policy(logs, self._local.vkeys)
        replace_file(self._home.policy_file, text.encode())


def split_seeds(data: bytes) -> list[bytes]:
    """Return the seeds of a log's keys."""
    return [data[at : at + SEED] for at in range(0, len(data), SEED)]
