/** Reads the text of an option's value; `where` names command and option for the error. */

import type { Compression, Fault } from "@adastra/swarm";
import { nearest } from "../lookUp.ts";
import type { Skew } from "../swarm/split.ts";

export function count(where: string, value: string): number {
  const parsed = Number(value);
  if (!(Number.isSafeInteger(parsed) && parsed >= 1)) {
    throw new RangeError(`${where} must be an integer of at least 1, got "${value}"`);
  }
  return parsed;
}

export function amount(where: string, value: string): number {
  const parsed = Number(value);
  if (value.trim() === "" || !(parsed > 0 && parsed < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`${where} must be a number above 0, got "${value}"`);
  }
  return parsed;
}

/** In [0, 1). */
export function share(where: string, value: string): number {
  const parsed = Number(value);
  if (value.trim() === "" || !(parsed >= 0 && parsed < 1)) {
    throw new RangeError(`${where} must be a number in [0, 1), got "${value}"`);
  }
  return parsed;
}

export function skew(where: string, value: string): Skew {
  const [kind, number = ""] = value.split(":");
  if (value === "none") {
    return { kind: "none" };
  }
  if (kind === "labels") {
    return { kind, each: count(where, number) };
  }
  if (kind === "dirichlet") {
    return { kind, alpha: amount(where, number) };
  }
  throw new RangeError(`${where} must be none, labels:N or dirichlet:A, got "${value}"`);
}

export function compression(where: string, value: string): Compression {
  const [form, number = ""] = value.split(":");
  if (value === "none" || value === "bf16" || value === "int8") {
    return value;
  }
  if (form === "topk") {
    return { topK: amount(where, number) };
  }
  throw new RangeError(`${where} must be none, bf16, int8 or topk:S, got "${value}"`);
}

/** A peer of a run: its id, and where it listens. */
export interface Member {
  readonly id: string;
  readonly addresses: readonly string[];
}

export function members(where: string, value: string): Member[] {
  return names(where, value).map((word) => {
    const [id = "", ...address] = word.split("@");
    if (id === "" || address.length > 1) {
      throw new RangeError(`${where} must be ID or ID@ADDRESS between commas, got "${word}"`);
    }
    return { id, addresses: address };
  });
}

export function crashes(where: string, value: string): Fault[] {
  return names(where, value).map((word): Fault => {
    const [, peer, at, back] = /^(\d+)@(\d+)(?:\+(\d+))?$/.exec(word) ?? [];
    if (peer === undefined || at === undefined) {
      throw new RangeError(`${where} must be PEER@MS or PEER@MS+MS between commas, got "${word}"`);
    }
    const fault = { kind: "crash", peer: Number(peer), atMs: Number(at) } as const;
    return back === undefined ? fault : { ...fault, forMs: Number(back) };
  });
}

export function names(where: string, value: string): string[] {
  const listed = value.split(",").map((name) => name.trim());
  if (listed.includes("")) {
    throw new RangeError(`${where} must be names between commas, got "${value}"`);
  }
  return listed;
}

/** Different names out of a list. */
export function among<T extends string>(where: string, value: string, allowed: readonly T[]): T[] {
  const listed = names(where, value).map((name) => {
    const found = allowed.find((candidate) => candidate === name);
    if (found === undefined) {
      const hint = nearest(name, allowed);
      throw new RangeError(
        `${where} must be among ${allowed.join(", ")}, got "${name}"${hint === undefined ? "" : `; did you mean "${hint}"?`}`,
      );
    }
    return found;
  });
  const twice = listed.find((name, i) => listed.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RangeError(`${where} must be different, got "${twice}" twice`);
  }
  return listed;
}

export function text(where: string, value: string): string {
  if (value === "") {
    throw new RangeError(`${where} must not be empty, got ""`);
  }
  return value;
}

export function address(where: string, value: string): string {
  if (!/^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : "")) {
    throw new RangeError(`${where} must be a URL of http or https, got "${value}"`);
  }
  return value;
}

export function oneOf<T extends string>(where: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === value);
  if (found === undefined) {
    throw new RangeError(`${where} must be one of ${allowed.join(", ")}, got "${value}"`);
  }
  return found;
}
