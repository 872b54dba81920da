/**
 * Reading jax-js's program form (a jaxpr) into plain data.
 *
 * Nested jits are inlined. jax-js promotes mixed dtypes inside each primitive, and numbers written
 * in the source adapt to the array beside them ("weak" types); here both become explicit, so that
 * the inputs of every equation have the dtypes its primitive computes in.
 */

import type { ClosedJaxpr, Array as JaxArray, Jaxpr } from "@jax-js/jax";
import type { CapturedArray, DType, Equation, Operand, Program, Variable } from "./program.ts";

type Atom = Jaxpr["outs"][number];

/** Primitives whose inputs jax-js brings to one dtype; of `where`, the two branches. */
const PROMOTING: ReadonlySet<string> = new Set(
  "add mul idiv mod min max compare where concatenate dot".split(" "),
);

const PROMOTION_ORDER: readonly DType[] = ["bool", "uint32", "int32", "float32"];

export function toProgram(closed: ClosedJaxpr): Program {
  const jaxpr = closed.jaxpr.flatten().simplify();
  const variables = new Map<Atom, Variable>();
  const equations: Equation[] = [];

  const define = (atom: Jaxpr["inBinders"][number]): Variable => {
    const { shape, dtype } = atom.aval;
    const variable: Variable = { kind: "variable", shape, dtype: dtype as DType };
    variables.set(atom, variable);
    return variable;
  };
  const read = (atom: Atom): Operand => {
    if ("value" in atom) {
      const { shape, dtype } = atom.aval;
      return { kind: "literal", shape, dtype: dtype as DType, value: Number(atom.value) };
    }
    const variable = variables.get(atom);
    if (variable === undefined) {
      throw new Error(`trace: ${String(atom)} must be defined before it is used, got a gap`);
    }
    return variable;
  };
  const castTo = (operand: Operand, dtype: DType): Operand => {
    if (operand.dtype === dtype) {
      return operand;
    }
    if (operand.kind === "literal") {
      const value = dtype === "float32" ? operand.value : Math.trunc(operand.value);
      return { ...operand, dtype, value };
    }
    const variable: Variable = { kind: "variable", shape: operand.shape, dtype };
    equations.push({
      primitive: "cast",
      inputs: [operand],
      params: { dtype },
      outputs: [variable],
    });
    return variable;
  };

  // Captured constants come before the inputs.
  const binders = jaxpr.inBinders.map(define);
  const captured = closed.consts.flatMap((constant, index): CapturedArray[] => {
    const variable = binders[index];
    const array = constant as JaxArray; // nothing outside encloses this trace
    return variable === undefined
      ? []
      : [{ variable, data: array.ref.dataSync() as CapturedArray["data"] }]; // 32-bit dtypes only
  });
  for (const { primitive, inputs: atoms, params, outBinders } of jaxpr.eqns) {
    const dtype = PROMOTING.has(primitive) ? commonType(primitive, atoms) : undefined;
    const inputs = atoms.map((atom, index) =>
      dtype === undefined || (primitive === "where" && index === 0)
        ? read(atom)
        : castTo(read(atom), dtype),
    );
    equations.push({ primitive, inputs, params, outputs: outBinders.map(define) });
  }
  return {
    inputs: binders.slice(closed.consts.length),
    captured,
    equations,
    outputs: jaxpr.outs.map(read),
  };
}

/** The dtype a primitive computes in: the highest of its inputs, weak ones counting only among themselves. */
function commonType(primitive: string, atoms: readonly Atom[]): DType {
  const operands = primitive === "where" ? atoms.slice(1) : atoms;
  const types = operands.map(({ aval }) => ({ dtype: aval.dtype as DType, weak: aval.weakType }));
  const strong = types.filter(({ weak }) => !weak);
  const ranks = (strong.length === 0 ? types : strong).map(({ dtype }) =>
    PROMOTION_ORDER.indexOf(dtype),
  );
  // A number beside truth values makes them at least uint32.
  const least = strong.length > 0 && strong.length < types.length ? 1 : 0;
  return PROMOTION_ORDER[Math.max(least, ...ranks)] as DType;
}
