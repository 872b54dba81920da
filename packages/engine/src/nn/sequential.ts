/** Layers made of layers. */

import { showShape } from "../errors.ts";
import { defineLayer, type Layer, type ParamSpec } from "./layer.ts";

/** Layers one after the other; parameters under `<kind><n>/`, counted from 1 for each kind. */
export function sequential(...layers: readonly Layer[]): Layer {
  const counts = new Map<string, number>();
  const named = layers.map((layer) => {
    const count = (counts.get(layer.kind) ?? 0) + 1;
    counts.set(layer.kind, count);
    return { name: `${layer.kind}${count}`, layer };
  });
  const specs = (
    inputShape: readonly number[],
    of: (layer: Layer, shape: readonly number[]) => Readonly<Record<string, ParamSpec>>,
  ): Record<string, ParamSpec> => {
    const all: Record<string, ParamSpec> = {};
    let shape = inputShape;
    for (const { name, layer } of named) {
      for (const [path, spec] of Object.entries(of(layer, shape))) {
        all[`${name}/${path}`] = spec;
      }
      shape = layer.outputShape(shape);
    }
    return all;
  };
  return defineLayer({
    kind: "sequential",
    params: (inputShape) => specs(inputShape, (layer, shape) => layer.params(shape)),
    state: (inputShape) => specs(inputShape, (layer, shape) => layer.state?.(shape) ?? {}),
    outputShape: (inputShape) =>
      named.reduce((shape, { layer }) => layer.outputShape(shape), inputShape),
    forward: (scope, x) =>
      named.reduce((value, { name, layer }) => layer.forward(scope.within(name), value), x),
  });
}

/**
 * shortcut(x) + body(x); parameters under `body/` and `shortcut/`.
 *
 * @param shortcut - Default x itself.
 * @throws RangeError if the two differ in shape.
 * @see He et al. 2016, https://arxiv.org/abs/1512.03385
 */
export function residual(body: Layer, shortcut?: Layer): Layer {
  const specs = (
    of: (layer: Layer) => Readonly<Record<string, ParamSpec>>,
  ): Record<string, ParamSpec> => {
    const all: Record<string, ParamSpec> = {};
    for (const [name, layer] of Object.entries({ body, shortcut })) {
      for (const [path, spec] of Object.entries(layer === undefined ? {} : of(layer))) {
        all[`${name}/${path}`] = spec;
      }
    }
    return all;
  };
  return defineLayer({
    kind: "residual",
    params: (inputShape) => specs((layer) => layer.params(inputShape)),
    state: (inputShape) => specs((layer) => layer.state?.(inputShape) ?? {}),
    outputShape: (inputShape) => {
      const shape = body.outputShape(inputShape);
      const kept = shortcut?.outputShape(inputShape) ?? inputShape;
      if (shape.join() !== kept.join()) {
        throw new RangeError(
          `residual: body and shortcut must agree in shape, got ${showShape(shape)} and ${showShape(kept)}`,
        );
      }
      return shape;
    },
    forward: (scope, x) => {
      const kept = shortcut === undefined ? x : shortcut.forward(scope.within("shortcut"), x);
      return kept.add(body.forward(scope.within("body"), x));
    },
  });
}
