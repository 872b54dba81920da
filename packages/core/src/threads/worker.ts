/** What a thread runs, as source: it has no module to import. */

/** Words of the control block: the number of the order, its kernel (−1 ends the thread), threads still at work. */
export const CONTROL: Readonly<Record<"order" | "kernel" | "pending", number>> = {
  order: 0,
  kernel: 1,
  pending: 2,
};

/** Looks at the order so often before it sleeps: orders of a step follow each other within microseconds. */
const SPINS = 20_000;

/**
 * The body of a function of `receive(handler)`, which calls the handler with one message, the `ThreadStart`.
 *
 * The thread waits for orders: one kernel, on the frame that the caller has filled in for it.
 */
export const WORKER_SOURCE: string = `
receive(({ bytes, names, memory, frames, control }) => {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { memory } });
  const kernels = names.map((name) => exports[name]);
  let done = 0;
  for (;;) {
    for (let spin = 0; spin < ${SPINS} && Atomics.load(control, ${CONTROL.order}) === done; spin++);
    Atomics.wait(control, ${CONTROL.order}, done);
    done = Atomics.load(control, ${CONTROL.order});
    const kernel = Atomics.load(control, ${CONTROL.kernel});
    if (kernel < 0) {
      return;
    }
    kernels[kernel](frames[kernel]);
    if (Atomics.sub(control, ${CONTROL.pending}, 1) === 1) {
      Atomics.notify(control, ${CONTROL.pending});
    }
  }
});
`;

/** What a thread needs before its first order. */
export interface ThreadStart {
  readonly bytes: Uint8Array;
  readonly names: readonly string[];
  readonly memory: WebAssembly.Memory;
  /** Address of the frame of each kernel. */
  readonly frames: readonly number[];
  readonly control: Int32Array;
}
