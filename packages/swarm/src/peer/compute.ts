/** How a peer's work is run: at once, or in virtual time. */

/** Runs `work`, and then `then` once it is done. */
export type Compute = (
  work: () => Promise<void> | void,
  then: () => void,
  fail: (error: unknown) => void,
) => void;

export const atOnce: Compute = (work, then, fail) => {
  try {
    const done = work();
    if (done === undefined) {
      queueMicrotask(then);
    } else {
      done.then(then, fail);
    }
  } catch (error) {
    fail(error);
  }
};
