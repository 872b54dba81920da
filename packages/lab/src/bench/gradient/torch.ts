/** The same models in PyTorch's own layers, their weights copied from ours. */

import { type PythonPeer, startPython } from "../python.ts";
import { DATA_BATCHES, type GradientModel } from "./models.ts";

/**
 * Answers `bind {model, params, batch}` (arrays in base64), `gradient` with the loss and every gradient, and
 * `time n` with the milliseconds of one of
 * n, `step n` with those of a training step: rows drawn, gradient and the fused Adam. PyTorch keeps dense kernels as [out, in]: `T` marks what is turned.
 */
const PROGRAM = (threads: number): string => `
import base64, copy, json, sys, time
try:
    import torch
except ImportError:
    print("no torch"); sys.exit()
import torch.nn as nn, torch.nn.functional as F
torch.set_num_threads(${threads})
print(torch.__version__)
def array(a):
    kind = torch.int64 if a["kind"] == "int32" else torch.float32
    raw = torch.frombuffer(bytearray(base64.b64decode(a["data"])), dtype=torch.int32 if a["kind"] == "int32" else torch.float32)
    return raw.reshape(a["shape"]).to(kind)
class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.a = nn.Conv2d(i, o, 3, stride, 1, bias=False); self.n = nn.BatchNorm2d(o)
        self.b = nn.Conv2d(o, o, 3, 1, 1, bias=False); self.m = nn.BatchNorm2d(o)
        self.s = nn.Conv2d(i, o, 1, stride, bias=False) if stride > 1 or i != o else nn.Identity()
    def forward(self, x): return F.relu(self.s(x) + self.m(self.b(F.relu(self.n(self.a(x))))))
class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False); self.n = nn.BatchNorm2d(16)
        self.blocks = nn.ModuleList([Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]); self.fc = nn.Linear(64, 10)
    def forward(self, x):
        h = F.relu(self.n(self.stem(x)))
        for b in self.blocks: h = b(h)
        return self.fc(h.mean((2, 3)))
    def named(self):
        yield "conv2d1/kernel", self.stem.weight
        yield from norm("batchNorm1", self.n)
        for i, b in enumerate(self.blocks):
            r = f"residual{i + 1}"
            yield f"{r}/body/conv2d1/kernel", b.a.weight
            yield from norm(f"{r}/body/batchNorm1", b.n)
            yield f"{r}/body/conv2d2/kernel", b.b.weight
            yield from norm(f"{r}/body/batchNorm2", b.m)
            if isinstance(b.s, nn.Conv2d): yield f"{r}/shortcut/kernel", b.s.weight
        yield from dense("dense1", self.fc)
class Transformer(nn.Module):
    def __init__(self, D=128, H=4, V=96, T=64):
        super().__init__()
        self.H = H; self.e = nn.Embedding(V, D); self.p = nn.Parameter(torch.zeros(T, D)); self.l1 = nn.LayerNorm(D)
        self.q = nn.Linear(D, 3 * D); self.o = nn.Linear(D, D); self.l2 = nn.LayerNorm(D)
        self.f1 = nn.Linear(D, 4 * D); self.f2 = nn.Linear(4 * D, D); self.l3 = nn.LayerNorm(D); self.out = nn.Linear(D, V, bias=False)
    def forward(self, x):
        h = self.e(x) + self.p; B, T, D = h.shape
        q, k, v = self.q(self.l1(h)).view(B, T, 3, self.H, D // self.H).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, D)
        h = h + self.o(a); h = h + self.f2(F.gelu(self.f1(self.l2(h))))
        return self.out(self.l3(h))
    def named(self):
        yield "embedding1/table", self.e.weight
        yield "positionEmbedding1/table", self.p
        yield from norm("residual1/body/layerNorm1", self.l1)
        yield from dense("residual1/body/multiHeadAttention1/qkv", self.q)
        yield from dense("residual1/body/multiHeadAttention1/out", self.o)
        yield from norm("residual2/body/layerNorm1", self.l2)
        yield from dense("residual2/body/dense1", self.f1)
        yield from dense("residual2/body/dense2", self.f2)
        yield from norm("layerNorm1", self.l3)
        yield from dense("dense1", self.out)
class Gru(nn.Module):
    def __init__(self, D=64, H=128, V=96):
        super().__init__(); self.e = nn.Embedding(V, D); self.g = nn.GRU(D, H, batch_first=True); self.out = nn.Linear(H, V, bias=False)
    def forward(self, x): return self.out(self.g(self.e(x))[0][:, -1])
    def named(self):
        yield "embedding1/table", self.e.weight
        yield "gru1/kernel T", self.g.weight_ih_l0
        yield "gru1/recurrent T", self.g.weight_hh_l0
        yield "gru1/bias", self.g.bias_ih_l0
        yield "gru1/recurrentBias", self.g.bias_hh_l0
        yield from dense("dense1", self.out)
def norm(path, layer):
    yield f"{path}/scale", layer.weight
    yield f"{path}/shift", layer.bias
def dense(path, layer):
    yield f"{path}/kernel T", layer.weight
    if layer.bias is not None: yield f"{path}/bias", layer.bias
def stacked(layers):
    counts = {}
    for layer in layers:
        kind = {nn.Linear: "dense", nn.Conv2d: "conv2d"}.get(type(layer))
        if kind is None: continue
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "dense": yield from dense(f"dense{counts[kind]}", layer)
        else:
            yield f"conv2d{counts[kind]}/kernel", layer.weight
            yield f"conv2d{counts[kind]}/bias", layer.bias
def make(name):
    if name == "resnet": return ResNet()
    if name == "transformer": return Transformer()
    if name == "gru": return Gru()
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)) if name == "mlp" else nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10))
def gradient():
    z = model(x)
    loss = F.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))
    return loss, torch.autograd.grad(loss, weights)
def step():
    drawn = torch.randint(len(rows[0]), (len(x),))
    z = trained(rows[0][drawn])
    adam.zero_grad()
    F.cross_entropy(z.reshape(-1, z.shape[-1]), rows[1][drawn].reshape(-1)).backward()
    adam.step()
for line in sys.stdin:
    word, _, rest = line.partition(" ")
    if word.strip() == "bind":
        given = json.loads(rest)
        model = make(given["model"])
        named = list(model.named() if hasattr(model, "named") else stacked(model))
        paths = [path.split(" ")[0] for path, _ in named]
        if set(paths) != set(given["params"]): print("parameters differ:", set(paths) ^ set(given["params"])); sys.exit()
        weights = [weight for _, weight in named]
        with torch.no_grad():
            for path, weight in named:
                value = array(given["params"][path.split(" ")[0]])
                weight.copy_(value.T if path.endswith(" T") else value)
        x, y = array(given["batch"]["x"]), array(given["batch"]["y"])
        rows = (torch.cat([x] * ${DATA_BATCHES}), torch.cat([y] * ${DATA_BATCHES}))
        trained = copy.deepcopy(model).train()
        adam = torch.optim.Adam(trained.parameters(), lr=1e-4, fused=True)
        print("bound")
    elif word.strip() == "gradient":
        loss, grads = gradient()
        answer = {}
        for (path, _), g in zip(named, grads):
            g = g.T.contiguous() if path.endswith(" T") else g.contiguous()
            answer[path.split(" ")[0]] = base64.b64encode(g.numpy().tobytes()).decode()
        print(json.dumps({"loss": loss.item(), "gradients": answer}))
    elif word.strip() == "step":
        repeats = int(rest); t = time.perf_counter()
        for _ in range(repeats): step()
        print((time.perf_counter() - t) * 1e3 / repeats)
    else:
        repeats = int(rest); t = time.perf_counter()
        for _ in range(repeats): gradient()
        print((time.perf_counter() - t) * 1e3 / repeats)
`;

export interface TorchGradient {
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Float32Array>>;
}

export interface TorchModel {
  readonly name: string;
  gradient(): Promise<TorchGradient>;
  /** Milliseconds of one gradient, of `repeats` in a row. */
  time(repeats: number): Promise<number>;
  /** Milliseconds of one training step, of `repeats` in a row. */
  timeStep(repeats: number): Promise<number>;
}

export interface TorchPeer {
  bind(model: GradientModel): Promise<TorchModel>;
  close(): void;
}

/** PyTorch on so many threads, or why not. */
export async function openTorch(
  python: string | undefined,
  threads: number,
): Promise<TorchPeer | { readonly reason: string }> {
  if (python === undefined || python === "") {
    return { reason: "ADASTRA_PYTHON is not set to a Python that has torch" };
  }
  let peer: PythonPeer;
  try {
    peer = await startPython(python, PROGRAM(threads));
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
  if (peer.banner === "no torch") {
    return { reason: `the Python at ADASTRA_PYTHON has no torch` };
  }
  return {
    close: () => peer.close(),
    bind: async ({ name, params, batch }) => {
      const arrays = (
        leaves: Readonly<Record<string, { shape: readonly number[]; data: unknown }>>,
      ) =>
        Object.fromEntries(
          Object.entries(leaves).map(([path, { shape, data }]) => [
            path,
            { shape, ...encode(data as Float32Array | Int32Array) }, // what models hold
          ]),
        );
      const given = { model: name, params: arrays(params), batch: arrays(batch) };
      const answer = await peer.ask(`bind ${JSON.stringify(given)}`);
      if (answer !== "bound") {
        throw new Error(
          `bench gradient: PyTorch's ${name} must have our parameters, got ${answer}`,
        );
      }
      return {
        name: `PyTorch ${peer.banner}`,
        time: async (repeats) => Number(await peer.ask(`time ${repeats}`)),
        timeStep: async (repeats) => Number(await peer.ask(`step ${repeats}`)),
        gradient: async () => {
          const { loss, gradients } = JSON.parse(await peer.ask("gradient")) as {
            loss: number;
            gradients: Record<string, string>;
          };
          const decoded = Object.entries(gradients).map(([path, text]) => [path, decode(text)]);
          return { loss, gradients: Object.fromEntries(decoded) as Record<string, Float32Array> };
        },
      };
    },
  };
}

function encode(data: Float32Array | Int32Array): { kind: string; data: string } {
  const kind = data instanceof Int32Array ? "int32" : "float32";
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { kind, data: bytes.toString("base64") };
}

function decode(text: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float32Array(bytes.buffer);
}
