import { expect, test } from "vitest";
import { tensorsOf } from "./problem.ts";
import { defaultSizes, parseSize } from "./sizes.ts";

test("sizes are numbers of parameters, in thousands or millions where it says so", () => {
  const sizes = ["1k", "10k", "2.5M", "1234"].map((name) => parseSize("test", name));
  expect(sizes.map(({ parameters }) => parameters)).toEqual([1e3, 1e4, 2.5e6, 1234]);
  expect(sizes[2]?.shapes).toEqual([[2_500_000]]);
});

test("the model has 160 tensors of about 11 million parameters, one tensor after the other", () => {
  const size = parseSize("test", "model");
  expect(size.shapes.length).toBe(160);
  expect(size.parameters).toBe(10_990_840);
  expect(size.shapes.filter((shape) => shape.length === 4).length).toBe(53);
  const tensors = tensorsOf(size);
  expect(tensors[0]?.begin).toBe(0);
  tensors.forEach(({ begin }, i) => {
    expect(begin).toBe(tensors[i - 1]?.end ?? 0);
  });
  expect(tensors.at(-1)?.end).toBe(size.parameters);
});

test("every size that is measured without a word can be parsed", () => {
  expect(defaultSizes.map((name) => parseSize("test", name).name)).toEqual([...defaultSizes]);
});

test.each(["", "k", "1.5", "0", "-1k", "1G", "81M", "resnet"])("%j is refused", (text) => {
  expect(() => parseSize("bench: --sizes", text)).toThrow(
    `bench: --sizes must be numbers of parameters from 1 to 80M such as 1k or 2.5M, or model, got "${text}"`,
  );
});
