import { adashift } from "@adastra/core";
import { applyUpdates, type OptState, toJax } from "@adastra/engine/jax";
import { grad, init, jit, numpy as np, tree } from "@jax-js/jax";

await init("wasm");
type Params = { w: np.Array; b: np.Array };
const x = np.linspace(-1, 1, 64);
const loss = ({ w, b }: Params) => np.square(w.mul(x.ref).add(b).sub(x.ref.mul(3).add(1))).mean();

const tx = toJax(adashift({ n: 5 }), { learningRate: 0.1 });
const step = jit((params: Params, state: OptState) => {
  const [updates, next] = tx.update(grad(loss)(tree.ref(params)), state);
  return [applyUpdates(params, updates), next] as [Params, OptState];
});

let params: Params = { w: np.zeros([]), b: np.zeros([]) };
let state = tx.init(tree.ref(params));
for (let t = 0; t < 200; t++) {
  [params, state] = step(params, state);
}
console.log(`step 200: loss ${Number(loss(params).js()).toFixed(4)}`); // y = 3x + 1
