// Whose word counts (C2SP tlog-policy), and verifier keys (C2SP signed-note).

import { Refused, base64, fromLatin, hex, latin, octets, sha256, utf8 } from "./bytes.js";

export const ED25519 = 0x01;
export const COSIGNATURE = 0x04;
export const ML_DSA = 0x06;

const KEY_BYTES = { [ED25519]: 32, [COSIGNATURE]: 32, [ML_DSA]: 1312 };
const LARGEST = 1_000_000; // bytes
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const P = 2n ** 255n - 19n;

function power(base, exponent) {
  let found = 1n;
  for (let left = exponent, at = base % P; left; left >>= 1n, at = (at * at) % P) if (left & 1n) found = (found * at) % P;
  return found;
}

const D = ((P - 121665n) * power(121666n, P - 2n)) % P;
const little = (bytes) => BigInt("0x" + hex(Uint8Array.from(bytes).reverse()));
const unhex = (text) => Uint8Array.from(text.match(/../g), (one) => parseInt(one, 16));
const LOW_ORDER = new Set([
  0n, 1n, P - 1n,
  little(unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
  little(unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
]);

/** Refuse what may not be a signer's name. */
export function checkName(name, where) {
  if (!name || name.includes("+") || SPACE.test(name)) throw new Refused("not a signer's name", where);
  return name;
}

/** Read `name+id+key`; `id` is the key's id in hex. */
export async function parseKey(text, where) {
  if (text.length > 4096) throw new Refused("not a verifier key", where);
  const one = text.indexOf("+");
  const two = text.indexOf("+", one + 1);
  if (one < 0 || two < 0) throw new Refused("it has not three parts", where);
  const raw = base64(text.slice(two + 1), where);
  if (!raw.length || raw.length - 1 !== KEY_BYTES[raw[0]]) throw new Refused("unknown type", where);
  const name = checkName(text.slice(0, one), where);
  const id = hex((await sha256(octets(name + "\n"), raw)).subarray(0, 4));
  if (id !== text.slice(one + 1, two)) throw new Refused("wrong id", where);
  const key = { name, id, algorithm: raw[0], key: raw.slice(1) };
  if (key.algorithm === ML_DSA) {
    if (octets(name).length > 255) throw new Refused("a cosigner's name is longer than 255 bytes", where);
    return key;
  }
  const y = little(key.key) & ((1n << 255n) - 1n);
  const square = ((((y * y - 1n) % P) * (D * y * y + 1n)) % P + P) % P;
  if (y >= P || LOW_ORDER.has(y) || power(square, (P - 1n) / 2n) !== 1n) {
    throw new Refused("a weak or malformed Ed25519 key", where);
  }
  return key;
}

/** Read a policy: its logs, witnesses and groups by name, and the name of its quorum. */
export async function parsePolicy(bytes) {
  if (bytes.length > LARGEST) throw new Refused("not a policy", "policy");
  const at = bytes.findIndex((one) => (one < 0x20 && one !== 0x09 && one !== 0x0a) || one === 0x7f);
  if (at >= 0) throw new Refused("a byte that is not allowed", `policy, byte ${at}`);
  const reader = new Reader();
  let number = 0;
  for (const line of latin(bytes).split("\n")) { // names are opaque bytes
    number += 1;
    const words = line.split(/[\t ]/).filter((one) => one);
    if (words.length && !words[0].startsWith("#")) await reader.read(words, `policy, line ${number}`);
  }
  if (reader.quorum === null) throw new Refused("no quorum", "policy");
  return reader;
}

class Reader {
  constructor() {
    this.logs = [];
    this.witnesses = new Map();
    this.groups = new Map();
    this.quorum = null;
    this.seen = new Set();
    this.members = new Set();
  }

  keys() {
    return [...this.logs, ...this.witnesses.values()];
  }

  /** Whether the holders of keys (a set) are the quorum. */
  reaches(held) {
    const reached = new Map();
    for (const [name, key] of this.witnesses) reached.set(name, held.has(key));
    for (const [name, { need, members }] of this.groups) {
      reached.set(name, members.filter((one) => reached.get(one)).length >= need);
    }
    return this.quorum === "none" || reached.get(this.quorum);
  }

  async read(words, where) {
    const count = words.length;
    if (words[0] === "log" && (count === 2 || count === 3)) {
      this.logs.push(await this.key(words[1], [ED25519, ML_DSA], where));
    } else if (words[0] === "witness" && (count === 3 || count === 4)) {
      const name = this.fresh(words[1], where);
      this.witnesses.set(name, await this.key(words[2], [COSIGNATURE, ML_DSA], where));
    } else if (words[0] === "group" && count > 3) {
      this.group(this.fresh(words[1], where), words[2], words.slice(3), where);
    } else if (words[0] === "quorum" && count === 2 && this.quorum === null) {
      if (words[1] !== "none" && !this.witnesses.has(words[1]) && !this.groups.has(words[1])) {
        throw new Refused("an unknown name", where);
      }
      this.quorum = words[1];
    } else {
      throw new Refused("not a line of a policy", where);
    }
  }

  group(name, said, members, where) {
    for (const one of members) {
      if (!this.witnesses.has(one) && !this.groups.has(one)) throw new Refused("an unknown name", where);
      if (this.members.has(one)) throw new Refused("a name in two groups", where);
      this.members.add(one);
    }
    let need = { any: 1, all: members.length }[said];
    if (need === undefined) need = /^[1-9][0-9]{0,8}$/.test(said) ? Number(said) : 0;
    if (need < 1 || need > members.length) throw new Refused("not a number of members", where);
    this.groups.set(name, { need, members });
  }

  fresh(name, where) {
    if (name === "none" || this.witnesses.has(name) || this.groups.has(name)) {
      throw new Refused("a name is defined twice", where);
    }
    return name;
  }

  async key(word, types, where) {
    const key = await parseKey(utf8(fromLatin(word), where), where);
    if (!types.includes(key.algorithm)) throw new Refused("a key of the wrong type", where);
    if (this.seen.has(hex(key.key))) throw new Refused("the same key twice", where);
    this.seen.add(hex(key.key));
    return key;
  }
}
