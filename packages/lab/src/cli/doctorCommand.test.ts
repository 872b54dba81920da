import { expect, test } from "vitest";
import { type Check, checkNode, doctorCommand } from "./doctorCommand.ts";

test("this machine has what a comparison needs, and the JSON says so", async () => {
  let printed = "";
  const terminal = {
    out: (text: string) => {
      printed += text;
    },
    err: () => undefined,
    isTty: false,
  };
  expect(await doctorCommand({ json: true }, terminal)).toBe(0);
  const { checks } = JSON.parse(printed) as { checks: readonly Check[] };
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
    ["node", true],
    ["optimizer: wasm", true],
    ["optimizer: js", true],
    ["optimizer: evaluate", true],
    ["engine: onnxruntime", true],
    ["threads", true],
    ["data: mnist", true],
  ]);
});

test.each([
  ["20.19.0", true],
  ["20.18.3", false],
  ["18.20.4", false],
  ["22.1.0", true],
])("Node %s suffices: %s", (version, ok) => {
  const check = checkNode(version);
  expect(check.ok).toBe(ok);
  expect(check.fix === undefined).toBe(ok);
});
