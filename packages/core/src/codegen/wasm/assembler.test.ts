import { describe, expect, it } from "vitest";
import type { Node, PlainOp, ValueType } from "./assembler.ts";
import {
  extractFirst,
  FunctionBuilder,
  f32,
  f64,
  get,
  i32,
  load,
  moduleBytes,
  plain,
  repeat,
  set,
  store,
  storeFirst,
  tee,
  upperHalf,
  when,
} from "./assembler.ts";
import { PLAIN } from "./opcodes.ts";
import { functionText } from "./text.ts";

/** A function of one i32 whose statements the callback builds. */
function build(statements: (f: FunctionBuilder, at: Node) => Node[], name = "f"): FunctionBuilder {
  const f = new FunctionBuilder(name);
  const at = get(f.param("at", "i32"));
  f.emit(statements(f, at));
  return f;
}

function isValid(f: FunctionBuilder): boolean {
  return WebAssembly.validate(moduleBytes([f]));
}

/** The memory after a call of each function with the address. */
function run(functions: readonly FunctionBuilder[], at: number, pages = 1): DataView {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const module = new WebAssembly.Module(moduleBytes(functions));
  const { exports } = new WebAssembly.Instance(module, { host: { memory } });
  for (const { name } of functions) {
    (exports[name] as (at: number) => void)(at);
  }
  return new DataView(memory.buffer);
}

const TYPES = ["i32", "f32", "f64", "v128"] as const;

/** All lists of one to three value types. */
const OPERANDS: readonly (readonly ValueType[])[] = [1, 2, 3].flatMap((arity) =>
  Array.from({ length: arity }).reduce<ValueType[][]>(
    (lists) => lists.flatMap((list) => TYPES.map((type) => [...list, type])),
    [[]],
  ),
);

/** Operand and result types under which the engine accepts an instruction. */
function signatures(op: PlainOp): string[] {
  return OPERANDS.flatMap((operands) =>
    TYPES.flatMap((result) => {
      const f = build((g) => {
        const locals = operands.map((type, i) => g.local(`operand${i}`, type));
        return [set(g.local("result", result), plain(op, ...locals.map(get)))];
      });
      return isValid(f) ? [`${operands.join(" ")} -> ${result}`] : [];
    }),
  );
}

/** What the name of an instruction says about its types. */
function expectedSignature(op: PlainOp): string {
  const [shape, name] = op.split(".") as [string, string];
  const [, to, , from] = /^(\w+)\.(promote|demote)_(\w+)$/.exec(op) ?? [];
  if (from !== undefined && !shape.includes("x")) {
    return `${from} -> ${to}`;
  }
  if (name === "splat") {
    return `${shape.slice(0, 3)} -> v128`;
  }
  if (shape === "v128" || shape.includes("x")) {
    if (name === "bitselect") {
      return "v128 v128 v128 -> v128";
    }
    if (name.startsWith("sh")) {
      return "v128 i32 -> v128";
    }
    return /^(not|abs|neg|sqrt|floor|promote|convert|trunc|extend)/.test(name)
      ? "v128 -> v128"
      : "v128 v128 -> v128";
  }
  return `${shape} ${shape} -> ${shape}`;
}

describe("encoding", () => {
  it.each(Object.keys(PLAIN))(
    "the engine takes %s with the operands its name tells, and no others",
    (op) => {
      // Object.keys forgets that its keys are the instructions.
      expect(signatures(op as PlainOp)).toEqual([expectedSignature(op as PlainOp)]);
    },
  );

  it("memory instructions reach the address plus the offset, however long either is written", () => {
    for (const address of [0, 63, 64, 127, 128, 8191, 8192, 2 ** 20]) {
      for (const offset of [0, 63, 64, 127, 128, 16383, 16384]) {
        const f = build(() => [store("f64.store", i32(address), offset, f64(1.5))]);
        expect(run([f], 0, 20).getFloat64(address + offset, true)).toBe(1.5);
      }
    }
  });

  it("integers are encoded with their sign", () => {
    for (const distance of [1, 63, 64, 65, 8192, 8193, 2 ** 20]) {
      const f = build((_, at) => [
        store("f64.store", plain("i32.add", at, i32(-distance)), 0, f64(1.5)),
      ]);
      expect(run([f], 2 ** 20, 20).getFloat64(2 ** 20 - distance, true)).toBe(1.5);
    }
    expect(isValid(build((f) => [set(f.local("x", "i32"), i32(-(2 ** 31)))]))).toBe(true);
    expect(isValid(build((f) => [set(f.local("x", "i32"), i32(2 ** 31 - 1))]))).toBe(true);
  });

  it("numbers keep their bits", () => {
    for (const value of [0, -0, 1, -1 / 3, 5e-324, Number.MAX_VALUE, -Infinity, NaN]) {
      const f = build((_, at) => [
        store("f64.store", at, 0, f64(value)),
        store("f64.store", at, 8, plain("f64.promote_f32", f32(Math.fround(value)))),
      ]);
      const memory = run([f], 16);
      expect(memory.getFloat64(16, true)).toBe(value);
      expect(memory.getFloat64(24, true)).toBe(Math.fround(value));
    }
  });

  it("lanes go where they should", () => {
    const f = build((g, at) => {
      const x = g.local("x", "v128");
      return [
        set(x, load("v128.load64_zero", at, 0)),
        store("v128.store", at, 16, get(x)),
        set(x, load("v128.load", at, 16)),
        storeFirst("v128.store32_lane", at, 36, get(x)),
        storeFirst("v128.store64_lane", at, 40, load("v128.load32_zero", at, 0)),
        store("f64.store", at, 48, extractFirst("f64x2.extract_lane", get(x))),
        set(x, plain("f32x4.splat", f32(7))),
        store(
          "f64.store",
          at,
          56,
          plain("f64.promote_f32", extractFirst("f32x4.extract_lane", get(x))),
        ),
        set(x, load("v128.load", at, 56)),
        store("v128.store", at, 72, upperHalf(x)),
      ];
    });
    const source = build(
      (_, at) => [
        store("f64.store", at, 0, f64(1 / 3)),
        store("f64.store", at, 8, f64(5)),
        store("f64.store", at, 64, f64(9)),
      ],
      "source",
    );
    const memory = run([source, f], 0);
    const [low, high] = [memory.getUint32(0, true), memory.getUint32(4, true)];
    expect(memory.getFloat64(16, true)).toBe(1 / 3);
    expect(memory.getFloat64(24, true)).toBe(0);
    expect([32, 36].map((at) => memory.getUint32(at, true))).toEqual([0, low]);
    expect([40, 44].map((at) => memory.getUint32(at, true))).toEqual([low, 0]);
    expect(high).not.toBe(0);
    expect([48, 56, 72, 80].map((at) => memory.getFloat64(at, true))).toEqual([1 / 3, 7, 9, 9]);
  });

  it("loops count down and conditions guard", () => {
    const counted = (times: number, name: string) =>
      build((f, at) => {
        const left = f.local("left", "i32");
        const add = store("f64.store", at, 0, plain("f64.add", load("f64.load", at, 0), f64(1)));
        return [
          set(left, i32(times)),
          when(get(left), [repeat([add], tee(left, plain("i32.sub", get(left), i32(1))))]),
        ];
      }, name);
    expect(run([counted(0, "none"), counted(5, "five")], 8).getFloat64(8, true)).toBe(5);
  });

  it("holds functions, locals and statements by the hundred", () => {
    const functions = Array.from({ length: 300 }, (_, n) =>
      build((f, at) => {
        const locals = Array.from({ length: 300 }, (__, i) => f.local("x", i % 2 ? "f64" : "v128"));
        return [
          ...locals.flatMap((local, i) => (i % 2 ? [set(local, f64(i + n))] : [])),
          store("f64.store", at, 8 * n, get(locals[299]!)),
        ];
      }, `f${n}`),
    );
    const memory = run(functions, 0);
    expect(functions.map((_, n) => memory.getFloat64(8 * n, true))).toEqual(
      functions.map((_, n) => 299 + n),
    );
  });

  it("fails validation when types do not fit, so that the tests above say something", () => {
    expect(isValid(build((f) => [set(f.local("x", "v128"), i32(1))]))).toBe(false);
  });
});

describe("text", () => {
  it("is the tree, folded, with the names of the locals", () => {
    const f = build((g, at) => {
      const x = g.local("x", "v128");
      const left = g.local("x", "i32");
      return [
        set(x, plain("f32x4.splat", f32(-0))),
        when(load("i32.load", at, 4), [
          repeat([store("v128.store", at, 16, upperHalf(x))], tee(left, i32(0))),
        ]),
        storeFirst("v128.store32_lane", at, 0, plain("f64x2.splat", f64(-Infinity))),
      ];
    });
    expect(functionText(f)).toBe(
      [
        '(func $f (export "f")',
        "  (param $at i32)",
        "  (local $x v128)",
        "  (local $x_2 i32)",
        "  (local.set $x (f32x4.splat (f32.const -0)))",
        "  (if (i32.load offset=4 align=4 (local.get $at)) (then",
        "    (loop",
        "      (v128.store offset=16 align=4 (local.get $at) (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $x) (local.get $x)))",
        "      (br_if 0 (local.tee $x_2 (i32.const 0)))",
        "    )",
        "  ))",
        "  (v128.store32_lane offset=0 align=4 0 (local.get $at) (f64x2.splat (f64.const -inf)))",
        ")",
        "",
      ].join("\n"),
    );
  });
});
