import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");

/** Code blocks of a language. */
function blocks(page: string, language: string): string[] {
  const pattern = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g");
  return Array.from(read(page).matchAll(pattern), (match) => match[1] ?? "");
}

describe("docs/checkpoints.md", () => {
  it("shows the example that the package test runs, word for word", () => {
    expect(blocks("docs/checkpoints.md", "ts")[0]).toBe(read("examples/resume.ts"));
  });

  it("shows the Python that the fixtures were made with, word for word", () => {
    const code = read("fixtures/generate/checkpoint/torch_state.py");
    expect(blocks("docs/checkpoints.md", "python")).toEqual([code.replace(/^""".*"""\n\n/, "")]);
  });
});
