// An employee's package: every use of their data in every closed epoch, or that there was none.
// What `safehold_verify.verify_package` checks, checked again in the browser; docs/reference/ledger.md says what the fields are.

import {
  Refused, Unable, base64, big, has, hex, hmac, isCount, isObject, join, octets, readJson, same, sha256, take,
} from "./bytes.js";
import { openHead } from "./head.js";
import { checkPath, hashes, leafHash, parseLeaf, verifyInclusion } from "./leaf.js";
import { parsePolicy } from "./policy.js";

const EPOCH = "index.epoch";
const HORIZON = 16; // levels of the tree of a person's labels
const FIELDS = ["act", "det", "obj"];
const LARGEST = 256 * 2 ** 20; // bytes
const SENTINELS = ["00".repeat(32), "ff".repeat(32)];

/**
 * Check a package against a policy, both as bytes; a receipt from before may be given, or null.
 *
 * The answer says `holds`, `refused` (something is not true) or `unable` (it cannot be told here), and never holds by default.
 */
export async function verify(packed, policy, receipt = null) {
  try {
    return { state: "holds", ...(await verifyPackage(packed, policy, receipt)) };
  } catch (error) {
    if (error instanceof Refused) return { state: "refused", message: error.message, where: error.where };
    if (error instanceof Unable) return { state: "unable", message: error.message, where: error.where };
    return { state: "unable", message: "this page failed", where: error?.name ?? "" };
  }
}

async function verifyPackage(packed, policy, receipt) {
  if (packed.length > LARGEST) throw new Unable("too large for this page", "package");
  const said = readJson(packed, "package");
  const fits = has(said, "v", "head", "checkpoint", "commitment", "epochs") && said.v === "safehold.package/1";
  if (!fits || typeof said.head !== "string" || typeof said.checkpoint !== "string" || !Array.isArray(said.epochs)) {
    throw new Refused("not a package", "package");
  }
  const note = base64(said.checkpoint, "package, checkpoint");
  if (hex(await sha256(note)) !== said.head) throw new Refused("another checkpoint", "package, head");
  const head = await openHead(note, await parsePolicy(policy), "package, checkpoint");
  const commitment = take(said.commitment, "package, commitment");
  if (receipt !== null) checkReceipt(receipt, head, commitment);
  const reader = new Reader(head, commitment);
  for (const one of said.epochs) await reader.read(one);
  if (!head.enough) { // only now: what is false under this head is false under any signature
    throw new Unable("the rest fits, but the Ed25519 signatures alone are not enough for this policy", "package, checkpoint");
  }
  return {
    origin: head.origin,
    size: head.size,
    witnesses: head.witnesses,
    unchecked: head.unchecked,
    until: reader.until,
    covered: reader.stop,
    spans: reader.spans,
    uses: reader.uses,
    commitment: hex(commitment),
    bound: receipt !== null,
  };
}

function checkReceipt(bytes, head, commitment) {
  const said = readJson(bytes, "receipt");
  const fits = has(said, "v", "origin", "size", "commitment") && said.v === "safehold.receipt/1";
  if (!fits || typeof said.origin !== "string" || !isCount(said.size)) throw new Refused("not a receipt", "receipt");
  if (said.origin !== head.origin || said.size > head.size) throw new Refused("it is about another log", "receipt");
  if (!same(take(said.commitment, "receipt"), commitment)) {
    throw new Refused("the package was made with other keys", "receipt");
  }
}

const labelOf = (key) => sha256(octets("sh/label/v1"), key);

/** Reads the epochs of a package, one after the other, without a gap. */
class Reader {
  constructor(head, commitment) {
    this.head = head;
    this.commitment = commitment;
    this.stop = 0;
    this.until = 0;
    this.spans = [];
    this.uses = [];
  }

  async read(said) {
    const [epoch, first] = [this.spans.length, this.stop];
    const where = `epoch ${epoch}`;
    const present = has(said, "key", "bind", "next", "root", "place", "path", "entries");
    const absent = has(said, "key", "bind", "next", "root", "place", "absent");
    if ((!present && !absent) || !isCount(said.place)) throw new Refused("malformed", where);
    const key = take(said.key, where);
    const label = await labelOf(key);
    if (!Array.isArray(said.bind) || said.bind.length !== HORIZON) {
      throw new Refused("the keys do not fit their commitment", where);
    }
    await checkPath(epoch, label, said.bind, this.commitment, where);
    const next = await this.leaf(said.next, where);
    const begun = next.said.pub;
    if (next.said.k !== EPOCH || !has(begun, "state", "epoch") || begun.state !== "begin" || begun.epoch !== epoch + 1) {
      throw new Refused("the leaf after it does not begin the next", where);
    }
    const span = { epoch, first, stop: next.index, count: 0 };
    const root = rootOf(await this.leaf(said.root, where), span, where);
    if (present) {
      span.count = await this.present(said, span, key, root, where);
    } else {
      await this.absent(said, label, root, where);
    }
    this.spans.push({ ...span, root: hex(root) });
    [this.stop, this.until] = [next.index, next.said.t];
  }

  /** Check the person's row and every entry on their list; return how many they are. */
  async present(said, span, key, root, where) {
    if (!Array.isArray(said.entries) || !said.entries.length) throw new Refused("malformed", where);
    const mac = await hmac(key);
    const listed = [];
    const uses = [];
    for (const one of said.entries) {
      const { use, tag } = await this.use(one, span, mac);
      if (uses.length && uses.at(-1).index >= use.index) throw new Refused("entries out of order", where);
      uses.push(use);
      listed.push(big(use.index, 8), tag);
    }
    const value = await sha256(await mac(octets("sh/index/v1")), big(uses.length, 4), ...listed);
    await checkPath(said.place, join(await labelOf(key), value), said.path, root, where);
    for (const one of uses) this.uses.push(one);
    return uses.length;
  }

  /** Check that two rows next to each other lie around the person's label. */
  async absent(said, label, root, where) {
    if (!Array.isArray(said.absent) || said.absent.length !== 2) throw new Refused("malformed", where);
    const low = await neighbour(said.absent[0], said.place, root, where);
    const high = await neighbour(said.absent[1], said.place + 1, root, where);
    const mine = hex(label);
    if (said.absent[0].path.length !== said.absent[1].path.length || !(low < mine && mine < high)) {
      throw new Refused("the neighbours do not show an absence", where);
    }
  }

  /** Check that a leaf is in the log; return what it says. */
  async leaf(said, where, ...more) {
    if (!has(said, "index", "leaf", "path", ...more) || !isCount(said.index) || typeof said.leaf !== "string") {
      throw new Refused("malformed", where);
    }
    const raw = base64(said.leaf, where);
    const found = parseLeaf(raw);
    const path = hashes(said.path, where);
    const here = `leaf ${said.index}`;
    await verifyInclusion(BigInt(said.index), BigInt(this.head.size), await leafHash(raw), path, this.head.root, here);
    return { index: said.index, said: found };
  }

  /** Check one entry of the person's: in the log, in this epoch, about them; return it and their tag in it. */
  async use(said, span, mac) {
    const leaf = await this.leaf(said, `epoch ${span.epoch}, entry`, "nonce", "flags", "place", "set", "told");
    const where = `leaf ${leaf.index}`;
    const { flags, place, told } = said;
    if (!isCount(flags) || flags > 255 || !isCount(place) || !isObject(told)) throw new Refused("malformed", where);
    const nonce = take(said.nonce, where);
    if (leaf.index < span.first || leaf.index >= span.stop) throw new Refused("it belongs to another epoch", where);
    const tag = await mac(octets("sh/tag/v1"), nonce);
    const item = await sha256(await mac(octets("sh/blind/v1"), nonce), tag, Uint8Array.of(flags));
    await checkPath(place, item, said.set, take(leaf.said.sub, where), where);
    const shown = {};
    for (const name of Object.keys(told)) shown[name] = await disclosed(leaf.said, name, told[name], where);
    const use = {
      index: leaf.index,
      epoch: span.epoch,
      time: leaf.said.t,
      kind: leaf.said.k,
      purpose: String(leaf.said.pub?.purpose ?? ""),
      told: shown,
    };
    return { use, tag };
  }
}

/** Return the root that a leaf closes an epoch with. */
function rootOf(leaf, span, where) {
  const pub = leaf.said.pub ?? {};
  const root = take(pub.root ?? "", where);
  const wanted = { state: "root", epoch: span.epoch, first: span.first, stop: span.stop };
  const fits = has(pub, "root", ...Object.keys(wanted)) && Object.keys(wanted).every((name) => pub[name] === wanted[name]);
  if (leaf.said.k !== EPOCH || !fits || leaf.said.ref !== span.stop) {
    throw new Refused("the closing leaf is that of another range", where);
  }
  return root;
}

/** Return the label, in hex, of a row that a tree holds at a place. */
async function neighbour(said, place, root, where) {
  if (!has(said, "label", "value", "path")) throw new Refused("malformed", where);
  const label = take(said.label, where);
  const value = take(said.value, where);
  if (SENTINELS.includes(hex(label)) && value.some((one) => one)) throw new Refused("a sentinel with a value", where);
  await checkPath(place, join(label, value), said.path, root, where);
  return hex(label);
}

/** Return what was disclosed of a field, if the leaf commits to it. */
async function disclosed(leaf, name, said, where) {
  if (!has(said, "r", "value") || !FIELDS.includes(name)) throw new Refused("malformed", where);
  const raw = base64(said.value, where);
  const found = await sha256(take(said.r, where), octets(`sh/commit/v1/${name}\0`), raw);
  if (!same(found, take(leaf[name], where))) throw new Refused(`${name} is not what the leaf commits to`, where);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw);
}
