/** PyTorch's Adam on one thread, in the Python that ADASTRA_PYTHON names: `fused=True` and `foreach=True`. */

import { type PythonPeer, startPython } from "../../python.ts";
import { LEARNING_RATE } from "../problem.ts";
import type { LeftOut, Peer } from "../subject.ts";

/** Answers `bind KIND [[shape], ...]`, `step KIND k repeats`, `params KIND stride` and `drop KIND`. */
const PROGRAM = `
import json, sys, time
try:
    import torch
except ImportError:
    print("no torch"); sys.exit()
torch.set_num_threads(1)
print(torch.__version__)
made = {}
def tensors(flat, shapes):
    at = 0; out = []
    for s in shapes:
        n = 1
        for d in s: n *= d
        out.append(flat[at:at + n].clone().reshape(s)); at += n
    return out
for line in sys.stdin:
    word, kind, *rest = line.split(" ", 2)
    kind = kind.strip()
    if word == "bind":
        shapes = json.loads(rest[0])
        i = torch.arange(sum(torch.Size(s).numel() for s in shapes), dtype=torch.float64)
        start = torch.sin(i).float()
        gs = [tensors((0.1 * torch.cos(7 * i + k)).float(), shapes) for k in (1, 2, 3)]
        t = time.perf_counter()
        ps = [torch.nn.Parameter(p) for p in tensors(start, shapes)]
        o = torch.optim.Adam(ps, lr=${LEARNING_RATE}, **{kind: True})
        print((time.perf_counter() - t) * 1e3)
        made[kind] = (ps, gs, o)
    elif word == "step":
        ps, gs, o = made[kind]
        k, repeats = map(int, rest[0].split())
        for p, g in zip(ps, gs[k % 3]): p.grad = g
        t = time.perf_counter()
        for _ in range(repeats): o.step()
        print((time.perf_counter() - t) * 1e3 / repeats)
    elif word == "params":
        ps, _, _ = made[kind]
        flat = torch.cat([p.detach().flatten() for p in ps])
        print(json.dumps(flat[::int(rest[0])].tolist()))
    else:
        del made[kind]; print("dropped")
`;

type Kind = "fused" | "foreach";

/** Both kinds share one process; it ends with the last of them. */
export async function openTorch(
  python: string | undefined,
  kinds: readonly Kind[],
): Promise<readonly (Peer | LeftOut)[]> {
  const absent = (reason: string): LeftOut[] =>
    kinds.map((kind) => ({ name: `PyTorch Adam, ${kind}=True`, reason }));
  if (kinds.length === 0) {
    return [];
  }
  if (python === undefined || python === "") {
    return absent("set ADASTRA_PYTHON to a Python that has torch");
  }
  let process: PythonPeer;
  try {
    process = await startPython(python, PROGRAM);
  } catch (error) {
    return absent(error instanceof Error ? error.message : String(error));
  }
  if (process.banner === "no torch") {
    process.close();
    return absent(`the Python that ADASTRA_PYTHON names has no torch: ${python}`);
  }
  let open = kinds.length;
  return kinds.map((kind) => ({
    name: `PyTorch ${process.banner} Adam, ${kind}=True, 1 thread`,
    bind: async ({ size }) => {
      const compileMs = Number(await process.ask(`bind ${kind} ${JSON.stringify(size.shapes)}`));
      return {
        compileMs,
        step: async (k, repeats) => Number(await process.ask(`step ${kind} ${k} ${repeats}`)),
        params: async (stride) =>
          JSON.parse(await process.ask(`params ${kind} ${stride}`)) as number[],
        close: async () => {
          await process.ask(`drop ${kind}`);
        },
      };
    },
    close: () => {
      open -= 1;
      if (open === 0) {
        process.close();
      }
    },
  }));
}
