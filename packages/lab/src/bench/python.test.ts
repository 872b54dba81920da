import { expect, test } from "vitest";
import { startPython } from "./python.ts";

test("an interpreter that is not there is named in one sentence", async () => {
  await expect(startPython("/no/such/python", "print('ready')")).rejects.toThrow(
    'startPython: ADASTRA_PYTHON must name a Python interpreter, got "/no/such/python" (ENOENT)',
  );
});

test("an interpreter that ends before its banner is told", async () => {
  // Node takes neither -u nor Python: it ends at once.
  await expect(startPython(process.execPath, "")).rejects.toThrow(
    "startPython: the Python peer must answer, got end of output; see its message",
  );
});
