/** The pipeline of passes, verified between every two. */

import type { Graph } from "../ir.ts";
import { verify } from "../verify.ts";
import { eliminateCommon } from "./cse.ts";
import { eliminateDead } from "./dce.ts";
import { rewrite } from "./rewrite.ts";
import { REWRITE_RULES } from "./rules.ts";

export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph) => Graph;
}

const COMMON: Pass = { name: "common subexpressions", run: eliminateCommon };
const DEAD: Pass = { name: "dead code", run: eliminateDead };
const REWRITES: Pass = { name: "rewrites", run: (graph) => rewrite(graph, REWRITE_RULES) };

/** Common subexpressions and dead code go first, so that "used once" means what it says. */
export function optimize(lowered: Graph): Graph {
  const run = (graph: Graph, { name, run: apply }: Pass): Graph => verify(apply(graph), name);
  let graph = [COMMON, DEAD].reduce(run, verify(lowered, "lowering"));
  // Every rewrite removes a node or brings one closer to a fused form, so this ends.
  for (;;) {
    const rewritten = run(graph, REWRITES);
    if (rewritten === graph) {
      return graph;
    }
    graph = [COMMON, DEAD].reduce(run, rewritten);
  }
}
