// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), at once and not awaited: a list of thousands of entries takes
// a hundred thousand small hashes, and asking the browser for each would take seconds. Tests hold it against WebCrypto.

const primes = [];
for (let number = 2; primes.length < 64; number += 1) {
  if (primes.every((one) => number % one)) primes.push(number);
}
const fraction = (root) => ((root % 1) * 2 ** 32) | 0;
const ROUND = Int32Array.from(primes, (one) => fraction(Math.cbrt(one)));
const START = Int32Array.from(primes.slice(0, 8), (one) => fraction(Math.sqrt(one)));
const words = new Int32Array(64);
const state = new Int32Array(8);

/** Return the SHA-256 of parts, one behind the other. */
export function sha256(...parts) {
  const length = parts.reduce((sum, one) => sum + one.length, 0);
  const padded = new Uint8Array(Math.ceil((length + 9) / 64) * 64);
  let at = 0;
  for (const one of parts) {
    padded.set(one, at);
    at += one.length;
  }
  padded[length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(length / 2 ** 29));
  view.setUint32(padded.length - 4, (length * 8) >>> 0);
  state.set(START);
  for (let block = 0; block < padded.length; block += 64) mix(view, block);
  const digest = new DataView(new ArrayBuffer(32));
  for (let word = 0; word < 8; word += 1) digest.setInt32(word * 4, state[word]);
  return new Uint8Array(digest.buffer);
}

function mix(view, block) {
  for (let t = 0; t < 16; t += 1) words[t] = view.getInt32(block + t * 4);
  for (let t = 16; t < 64; t += 1) {
    const x = words[t - 15];
    const y = words[t - 2];
    const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[t] = (words[t - 16] + low + words[t - 7] + high) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let t = 0; t < 64; t += 1) {
    const one = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const first = (h + one + ((e & f) ^ (~e & g)) + ROUND[t] + words[t]) | 0;
    const two = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const second = (two + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
  state[4] = (state[4] + e) | 0;
  state[5] = (state[5] + f) | 0;
  state[6] = (state[6] + g) | 0;
  state[7] = (state[7] + h) | 0;
}

/** Return a function that computes HMAC-SHA-256 under a key of at most 64 bytes. */
export function hmac(key) {
  const inner = new Uint8Array(64).fill(0x36);
  const outer = new Uint8Array(64).fill(0x5c);
  key.forEach((octet, at) => {
    inner[at] ^= octet;
    outer[at] ^= octet;
  });
  return (...parts) => sha256(outer, sha256(inner, ...parts));
}
