/** The process of a pool's clients: `node clientProcess.js RUN`, with the run as JSON. */

import type { ClientJob, ClientReply } from "./clientPool.ts";
import { findMetaProblem } from "./problems.ts";
import type { MetaRun } from "./run.ts";

const run = JSON.parse(process.argv[2] ?? "{}") as MetaRun;
const opening = findMetaProblem(run.problem)
  .open()
  .then((problem) => problem.start(run));
// A problem that cannot be opened fails each task sent here.
opening.catch(() => undefined);

async function train({ place, start }: ClientJob): Promise<ClientReply> {
  try {
    return { result: await (await opening).client(place)(start) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

// Ctrl-C is for the process that runs the rounds: it ends after the one under way.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => process.exit());
process.on("message", (job: ClientJob) => {
  void train(job).then((reply) => process.send?.(reply));
});
