/** A Python process as a peer: it answers each line of input with one line. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface PythonPeer {
  /** The line the program printed first. */
  readonly banner: string;
  ask(line: string): Promise<string>;
  close(): void;
}

/** Ctrl-C reaches the whole process group: this process decides what it means. */
const PRELUDE = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n";

/**
 * Starts a Python on `program`, which prints a banner and then answers lines.
 *
 * @param python - the interpreter, as `ADASTRA_PYTHON` names it.
 * @throws Error when there is no such interpreter, or the program ends before its banner.
 */
export async function startPython(python: string, program: string): Promise<PythonPeer> {
  const child = spawn(python, ["-u", "-c", PRELUDE + program], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const failed = new Promise<never>((_, reject) => {
    child.on("error", (cause) => {
      const code = "code" in cause ? String(cause.code) : cause.message;
      reject(
        new Error(
          `startPython: ADASTRA_PYTHON must name a Python interpreter, got "${python}" (${code})`,
          { cause },
        ),
      );
    });
  });
  failed.catch(() => undefined); // told by whoever waits for an answer
  child.stdin.on("error", () => undefined); // a child that has ended: its missing answer tells
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = await Promise.race([lines.next(), failed]);
    if (done === true) {
      // An interpreter that is not there ends its output too, at the same moment.
      await Promise.race([failed, new Promise((resolve) => setImmediate(resolve))]);
      throw new Error(
        "startPython: the Python peer must answer, got end of output; see its message",
      );
    }
    return value;
  };
  return {
    banner: await answer(),
    ask: (line) => {
      child.stdin.write(`${line}\n`);
      return answer();
    },
    close: () => {
      child.kill();
    },
  };
}
