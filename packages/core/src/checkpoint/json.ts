/** JSON that a stranger may have written: bounded nesting, no key twice, no way to a prototype. */

import { CheckpointError, requireFile, sentence } from "./error.ts";

/** Deepest nesting of objects and arrays; an optimizer's state takes 9. */
export const MAX_DEPTH = 64;

/**
 * `JSON.parse` after a look at the text: that a key comes twice is lost in its result, and how it fares with deep
 * nesting is the engine's affair.
 *
 * @param what - what the text is, for messages: "the header".
 * @throws CheckpointError `NOT_JSON`, `TOO_DEEP`, `DUPLICATE_KEY` or `FORBIDDEN_KEY`.
 */
export function parseJson(where: string, what: string, text: string): unknown {
  try {
    checkKeys(where, what, text);
    return JSON.parse(text) as unknown;
  } catch (cause) {
    if (cause instanceof CheckpointError) {
      throw cause;
    }
    throw new CheckpointError("NOT_JSON", sentence(where, `${what} must be JSON`, text), { cause });
  }
}

/** Walks over strings and brackets. What is not JSON passes: `JSON.parse` comes after. */
function checkKeys(where: string, what: string, text: string): void {
  /** The keys of each object that is open; undefined for arrays, and until the first key. */
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{" || char === "[") {
      open.push(undefined);
      if (open.length > MAX_DEPTH) {
        const message = sentence(where, `${what} must nest at most ${MAX_DEPTH} deep`, open.length);
        throw new CheckpointError("TOO_DEEP", message);
      }
    } else if (char === "}" || char === "]") {
      open.pop();
    } else if (char === '"') {
      const end = endOfString(text, i);
      if (isKey(text, end) && open.length > 0) {
        const key = JSON.parse(text.slice(i, end)) as string;
        const keys = open[open.length - 1] ?? new Set();
        requireFile(
          key !== "__proto__",
          where,
          "FORBIDDEN_KEY",
          `${what} must not have this key`,
          key,
          "rename it",
        );
        requireFile(!keys.has(key), where, "DUPLICATE_KEY", `${what} must name a key once`, key);
        open[open.length - 1] = keys.add(key);
      }
      i = end - 1;
    }
  }
}

/** The position after the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') {
    i += text[i] === "\\" ? 2 : 1;
  }
  return i + 1;
}

function isKey(text: string, end: number): boolean {
  let i = end;
  while (text[i] === " " || text[i] === "\n" || text[i] === "\r" || text[i] === "\t") {
    i++;
  }
  return text[i] === ":";
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
