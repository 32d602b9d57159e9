// A signed head: who has signed it, and whether that is enough for a policy. ML-DSA-44 is checked where the browser can.

import { Refused, Unable, base64, hex, join, latin, octets, utf8 } from "./bytes.js";
import { COSIGNATURE, ED25519, ML_DSA, checkName } from "./policy.js";

const LARGEST = 1_000_000; // bytes of a note
const ML_DSA_BYTES = 2420; // of a signature
const NAMED_OTHERWISE = { "sum.golang.org": "go.sum database tree" };

/** Check a signed head against a policy; what is found is the tree, who cosigned when, and the lines nobody checked here. */
export async function openHead(note, policy, where) {
  const { text, lines } = split(note);
  const head = parseCheckpoint(text);
  const known = new Map();
  for (const key of policy.keys()) {
    const said = `${key.name} ${key.id}`;
    if (known.has(said)) throw new Refused("two keys of one name and id", where);
    known.set(said, key);
  }
  const held = new Map(); // key -> time; verified, but for what this browser cannot check
  const unchecked = new Set();
  for (const [number, line] of lines.entries()) {
    const here = `${where}, signature ${number + 1}`;
    const gap = line.indexOf(" ", 2);
    if (!line.startsWith("\u2014 ") || gap < 0) throw new Refused("malformed signature line", here);
    const raw = base64(line.slice(gap + 1), here);
    if (raw.length < 5) throw new Refused("a signature is too short", here);
    const key = known.get(`${checkName(line.slice(2, gap), here)} ${hex(raw.subarray(0, 4))}`);
    if (key === undefined) continue;
    if (held.has(key)) throw new Refused("the same key has signed twice", here);
    held.set(key, await check(key, text, raw.subarray(4), here, unchecked));
  }
  if (!held.size) throw new Refused("no known key has signed", where);
  return count(held, unchecked, head, policy, where);
}

function count(held, left, head, policy, where) {
  const checked = new Set([...held.keys()].filter((key) => !left.has(key)));
  const logs = policy.logs.filter((key) => held.has(key) && head.origin === (NAMED_OTHERWISE[key.name] ?? key.name));
  if (!logs.length) throw new Refused("no trusted log has signed it", where);
  const seats = [...policy.witnesses.values()].filter((key) => held.has(key));
  for (const key of seats) {
    if (key.algorithm === ML_DSA && !held.get(key)) throw new Refused(`the cosignature of ${key.name} has no time`, where);
  }
  if (!policy.reaches(new Set(seats))) throw new Refused("too few witnesses have cosigned", where);
  // whoever reads on must not take this head for signed: `enough` is false
  const enough = logs.some((key) => checked.has(key)) && policy.reaches(new Set(seats.filter((key) => checked.has(key))));
  const witnesses = {};
  for (const key of seats.filter((one) => checked.has(one))) {
    const at = Number(held.get(key));
    witnesses[key.name] = Math.max(at, witnesses[key.name] ?? 0);
  }
  const unchecked = [...held.keys()].filter((key) => !checked.has(key)).map((key) => key.name);
  return { ...head, witnesses, unchecked, enough };
}

function split(note) {
  const raw = latin(note);
  const cut = raw.lastIndexOf("\n\n");
  if (note.length > LARGEST || cut < 0 || !raw.endsWith("\n")) throw new Refused("not a signed note", "note");
  utf8(note, "note");
  if (/[\0-\x09\x0b-\x1f]/.test(raw)) throw new Refused("a control character", "note");
  const lines = utf8(note.subarray(cut + 2, Math.max(cut + 2, note.length - 1)), "note").split("\n");
  if (lines.length > 100) throw new Refused("too many signatures", "note");
  return { text: note.subarray(0, cut + 1), lines };
}

function parseCheckpoint(text) {
  const lines = utf8(text, "checkpoint").split("\n");
  if (lines.length < 4 || lines.pop() !== "" || lines.some((one) => !one)) {
    throw new Refused("it has not three lines", "checkpoint");
  }
  const root = base64(lines[2], "checkpoint, line 3");
  if (root.length !== 32) throw new Refused("a root hash has 32 bytes", "checkpoint, line 3");
  if (!/^(0|[1-9][0-9]{0,18})$/.test(lines[1]) || BigInt(lines[1]) >= 2n ** 63n) {
    throw new Refused("not a plain decimal number", "checkpoint, line 2");
  }
  const size = Number(lines[1]);
  if (!Number.isSafeInteger(size)) throw new Unable("the log is too large for this page", "checkpoint, line 2");
  return { origin: lines[0], size, root };
}

/** Verify one signature, as far as a browser can, and return its time. */
async function check(key, text, blob, where, unchecked) {
  let at = 0n;
  let message = text;
  if (key.algorithm !== ED25519) {
    if (blob.length < 8) throw new Refused(`the signature of ${key.name} fails`, where);
    at = BigInt("0x" + hex(blob.subarray(0, 8)));
    blob = blob.subarray(8);
    if (at >= 2n ** 63n) throw new Refused("a time out of range", where);
  }
  if (key.algorithm === ML_DSA) {
    if (blob.length !== ML_DSA_BYTES) throw new Refused(`the signature of ${key.name} fails`, where);
    const made = await lattice(key.key);
    if (made === null) {
      unchecked.add(key);
      return at;
    }
    if (!(await crypto.subtle.verify({ name: "ML-DSA-44" }, made, blob, cosigned(key.name, at, parseCheckpoint(text))))) {
      throw new Refused(`the signature of ${key.name} fails`, where);
    }
    return at;
  }
  if (key.algorithm === COSIGNATURE) message = join(octets(`cosignature/v1\ntime ${at}\n`), text);
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", key.key, "Ed25519", false, ["verify"]);
  } catch {
    throw new Unable("this browser cannot check Ed25519", where);
  }
  if (!(await crypto.subtle.verify("Ed25519", imported, blob, message))) {
    throw new Refused(`the signature of ${key.name} fails`, where);
  }
  return at;
}

/** Import a key of ML-DSA-44 (FIPS 204), or nothing where the browser knows none. */
async function lattice(key) {
  try {
    return await crypto.subtle.importKey("raw-public", key, { name: "ML-DSA-44" }, false, ["verify"]);
  } catch {
    return null;
  }
}

/** What an ML-DSA-44 cosignature of a checkpoint signs (C2SP tlog-cosignature). */
function cosigned(name, at, head) {
  const [who, origin] = [octets(name), octets(head.origin)];
  if (who.length > 255 || origin.length > 255) throw new Refused("a name is longer than 255 bytes", "checkpoint, line 1");
  const number = (value) => Uint8Array.from({ length: 8 }, (_, place) => Number((BigInt(value) >> BigInt(8 * (7 - place))) & 255n));
  return join(
    octets("subtree/v1\n\0"), Uint8Array.of(who.length), who, number(at),
    Uint8Array.of(origin.length), origin, new Uint8Array(8), number(head.size), head.root,
  );
}
