import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Packages whose tests change nothing that another file's could see: files share a process, which halves their time. */
const SHARING = "packages/{core,meta}/src/**/*.test.ts";

export default defineConfig({
  // Types and tests both read `src`; only the package test reads `dist`.
  ssr: { resolve: { conditions: ["@adastra/source"] } },
  resolve: { conditions: ["@adastra/source"] },
  test: {
    testTimeout: 30_000,
    // Two files at a time on two cores too: tests of real peers mostly wait.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      { extends: true, test: { name: "sharing", include: [SHARING], isolate: false } },
      {
        extends: true,
        test: {
          name: "isolated",
          include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
          exclude: [SHARING, "**/node_modules/**"],
        },
      },
    ],
  },
});
