// Leaves and trees: the canonical form of an entry, and proofs that it is in a tree (RFC 9162 section 2.1.3.2).

import { Refused, latin, same, sha256, take } from "./bytes.js";

const KINDS = new Set([
  "access.intent", "access.result", "alert", "artifact", "artifact.get", "attack", "audit", "blast", "charter",
  "choice", "compaction", "containment", "derived", "disclosure", "document", "drift", "drill", "drill.begin", "embed.export",
  "erasure", "evidence", "feature", "federation", "gap", "gate", "grant", "grant.closed", "home", "incident",
  "index.epoch", "ingest", "join", "key.change", "key.rotate", "lease", "milestone", "portal", "principal",
  "proposal", "refusal", "release", "request", "resume", "retention", "review", "roster", "session", "stop", "tool",
  "train.end", "train.start",
]);

const HASH = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
const NUMBER = "(?:0|[1-9][0-9]{0,15})";
const FACT = `"[a-z0-9_]{1,32}":(?:${NUMBER}|"[A-Za-z0-9._:/+=@-]{1,256}")`;
const LEAF = new RegExp(
  `^\\{"act":"${HASH}","chr":"(?:${HASH})?","ct":"${HASH}","det":"${HASH}","k":"[a-z.]{1,32}","obj":"${HASH}"` +
    `(?:,"pub":\\{${FACT}(?:,${FACT})*\\})?(?:,"ref":${NUMBER})?,"seg":"[A-Za-z0-9._:/@-]{0,128}"` +
    `,"sub":"${HASH}","t":${NUMBER},"v":"sh-audit/1"\\}$`,
);

/** Read a leaf in canonical form. */
export function parseLeaf(raw) {
  const text = latin(raw);
  if (!LEAF.test(text)) throw new Refused("not a leaf in canonical form", "leaf");
  const said = JSON.parse(text);
  if (!KINDS.has(said.k)) throw new Refused("a leaf of an unknown kind", "leaf");
  // an object forgets doubled names and puts numbers first, so the order is read from the text
  const names = Array.from((text.match(/"pub":\{(.*?)\}/)?.[1] ?? "").matchAll(/"([a-z0-9_]{1,32})":/g), (one) => one[1]);
  if (names.some((name, at) => at && names[at - 1] >= name)) throw new Refused("public facts out of order", "leaf");
  return said;
}

const ZERO = new Uint8Array([0]);
const ONE = new Uint8Array([1]);
export const leafHash = (raw) => sha256(ZERO, raw);

export function hashes(path, where) {
  if (!Array.isArray(path) || path.length > 63) throw new Refused("not a path of hashes", where);
  return path.map((one) => take(one, where));
}

/** Check that a leaf is at an index of a tree; index and size are BigInts. */
export async function verifyInclusion(index, size, leaf, proof, root, where) {
  const broken = new Refused("the inclusion proof does not hold", where);
  if (index < 0n || index >= size) throw broken;
  let [at, last, seen] = [index, size - 1n, leaf];
  for (const sibling of proof) {
    if (last === 0n) throw broken;
    if (at & 1n || at === last) {
      seen = await sha256(ONE, sibling, seen);
      while (at && !(at & 1n)) [at, last] = [at >> 1n, last >> 1n];
    } else {
      seen = await sha256(ONE, seen, sibling);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n || !same(seen, root)) throw broken;
}

/** Check that data is a leaf of a tree with a power of two of leaves. */
export async function checkPath(place, data, path, root, where) {
  const found = hashes(path, where);
  await verifyInclusion(BigInt(place), 1n << BigInt(found.length), await leafHash(data), found, root, where);
}
