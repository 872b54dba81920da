import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { brief } from "./error.ts";
import { MAX_DEPTH, parseJson } from "./json.ts";

const parse = (text: string): unknown => parseJson("read", "the header", text);

describe("parseJson", () => {
  it("is JSON.parse for all that JSON.stringify writes", () => {
    fc.assert(
      fc.property(
        fc.jsonValue().filter((value) => !JSON.stringify(value).includes("__proto__")),
        fc.constantFrom(undefined, 1, "\t", "\n"),
        (value, space) => {
          const text = JSON.stringify(value, undefined, space);
          expect(parse(text)).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });

  it.each([
    ['{"a":1,"a":2}', "a"],
    [String.raw`{"a":1,"\u0061" : 2}`, "a"],
    ['{"b":[{"x":1,"y":{"x":1},"x":2}]}', "x"],
    ['{"":1,"":2}', ""],
  ])("refuses a key that comes twice in one object: %s", (text, key) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: "DUPLICATE_KEY",
        message: `read: the header must name a key once, got "${key}"`,
      }),
    );
  });

  it("allows one key in several objects, and keys that are values elsewhere", () => {
    const text = String.raw`{"a":{"a":["a","a","a:",{"a":"\":"}]},"b":"a","c\"":":"}`;
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  it.each(['{"__proto__":1}', String.raw`[{"\u005f_proto__":{}}]`])(
    "refuses the way to a prototype: %s",
    (text) => {
      expect(() => parse(text)).toThrow(
        expect.objectContaining({
          code: "FORBIDDEN_KEY",
          message: 'read: the header must not have this key, got "__proto__"; rename it',
        }),
      );
    },
  );

  it(`nests ${MAX_DEPTH} deep and no deeper, however long the text`, () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(parse(nested(MAX_DEPTH))).toEqual(JSON.parse(nested(MAX_DEPTH)));
    for (const text of [nested(MAX_DEPTH + 1), "[".repeat(1e6), '{"a":'.repeat(1e6)]) {
      expect(() => parse(text)).toThrow(
        expect.objectContaining({
          code: "TOO_DEEP",
          message: "read: the header must nest at most 64 deep, got 65",
        }),
      );
    }
  });

  it.each([
    "",
    "{",
    "}",
    '{"a"}',
    '{"a":}',
    '"',
    '"a":1',
    '{"\\',
    String.raw`{"\x":1}`,
    "NaN",
    "{'a':1}",
    "[1,]",
    "\uFEFF{}",
    "1 2",
  ])("refuses what is not JSON: %s", (text) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: "NOT_JSON",
        message: `read: the header must be JSON, got ${JSON.stringify(text)}`,
        cause: expect.any(SyntaxError),
      }),
    );
  });
});

describe("brief", () => {
  it.each([
    ["a\n\u001b[31m", String.raw`"a\n\u001b[31m"`],
    ["x".repeat(100), `"${"x".repeat(80)}..."`],
    [[1, 2], "[1, 2]"],
    [["a"], "an array of 1"],
    [[0, 0, 0, 0, 0, 0, 0, 0, 0], "an array of 9"],
    [{ toString: 1, toJSON: 1 }, "an object"],
    [null, "null"],
    [undefined, "undefined"],
    [Number.NaN, "NaN"],
  ])("shows any value in few words", (value, text) => {
    expect(brief(value)).toBe(text);
  });
});
