import { expect, test } from "vitest";
import { lookUp, nearest } from "./lookUp.ts";

const entries = [{ name: "adam" }, { name: "adashift" }, { name: "momentum" }];

test("an entry is found by its name", () => {
  expect(lookUp("compare", "optimizer", "adashift", entries)).toBe(entries[1]);
});

test("a misspelt name is answered with the nearest", () => {
  expect(() => lookUp("compare", "optimizer", "AdaShft", entries)).toThrow(
    new RangeError(
      'compare: optimizer must be one of adam, adashift, momentum, got "AdaShft"; did you mean "adashift"?',
    ),
  );
});

test("a name near to none gets the list alone", () => {
  expect(() => lookUp("compare", "optimizer", "lbfgs", entries)).toThrow(
    new RangeError('compare: optimizer must be one of adam, adashift, momentum, got "lbfgs"'),
  );
  expect(nearest("adam", [])).toBeUndefined();
});
