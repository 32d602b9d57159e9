// Bytes: their spellings, and the two hashes everything is made of (SHA-256 and HMAC, by WebCrypto).

/** Something does not hold; `where` says what. */
export class Refused extends Error {
  constructor(message, where) {
    super(message);
    this.where = where;
  }
}

/** This browser, or this page, cannot tell: never the same as that it holds. */
export class Unable extends Error {
  constructor(message, where) {
    super(message);
    this.where = where;
  }
}

const encoder = new TextEncoder();
export const octets = (text) => encoder.encode(text);

/** One character a byte, so that patterns can look at bytes. */
export function latin(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

export const fromLatin = (text) => Uint8Array.from(text, (one) => one.charCodeAt(0));

/** Read UTF-8 that must be nothing else. */
export function utf8(bytes, where) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused("not UTF-8", where);
  }
}

export function join(...parts) {
  const made = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) {
    made.set(one, at);
    at += one.length;
  }
  return made;
}

export function hex(bytes) {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

export const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** A number as bytes, the most significant first. */
export function big(number, count) {
  let left = BigInt(number);
  const made = new Uint8Array(count);
  for (let at = count - 1; at >= 0; at--, left >>= 8n) made[at] = Number(left & 255n);
  return made;
}

const SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SIX = new Int8Array(128).fill(-1);
for (let at = 0; at < 64; at += 1) SIX[SIGNS.charCodeAt(at)] = at;

/** Read standard padded base64 in its one canonical spelling; by a table, since a package holds very many. */
export function base64(text, where) {
  if (typeof text !== "string" || text.length % 4) throw new Refused("not base64", where);
  const pad = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const letters = text.length - pad;
  const bytes = new Uint8Array((text.length / 4) * 3 - pad);
  let held = 0;
  let bits = 0;
  let to = 0;
  for (let at = 0; at < letters; at += 1) {
    const code = text.charCodeAt(at);
    const six = code < 128 ? SIX[code] : -1;
    if (six < 0) throw new Refused("not base64", where);
    held = (held << 6) | six;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[to] = (held >> bits) & 255;
      to += 1;
      held &= (1 << bits) - 1;
    }
  }
  if (held) throw new Refused("not canonical base64", where);
  return bytes;
}

/** Read 32 bytes from base64. */
export function take(text, where) {
  const raw = typeof text === "string" ? base64(text, where) : [];
  if (raw.length !== 32) throw new Refused("not 32 bytes in base64", where);
  return raw;
}

export { hmac, sha256 } from "./hash.js";

const escape = (one) => {
  const short = { '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" }[one];
  return short ?? "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0");
};

function spell(said) {
  if (typeof said === "string") return '"' + said.replace(/["\\]|[^ -~]/g, escape) + '"';
  if (typeof said === "number") return Number.isSafeInteger(said) ? String(said) : "?";
  if (Array.isArray(said)) return "[" + said.map(spell).join(",") + "]";
  if (said === null || typeof said === "boolean") return String(said);
  return "{" + Object.keys(said).sort().map((name) => spell(name) + ":" + spell(said[name])).join(",") + "}";
}

export const isObject = (said) => typeof said === "object" && said !== null && !Array.isArray(said);

/** Whether something is an object with exactly these names. */
export const has = (said, ...names) =>
  isObject(said) && Object.keys(said).length === names.length && names.every((one) => Object.hasOwn(said, one));

export const isCount = (said) => Number.isSafeInteger(said) && said >= 0;

/** Read a JSON object that is spelled in the one canonical way: sorted, ASCII, no spaces, whole numbers below 2^53. */
export function readJson(bytes, where) {
  const text = latin(bytes);
  let said, spelled;
  try {
    said = JSON.parse(text);
    spelled = spell(said);
  } catch {
    throw new Refused("not JSON", where);
  }
  if (!isObject(said) || spelled !== text) throw new Refused("not in the canonical spelling", where);
  return said;
}
