import { defineConfig } from "vitest/config";

export default defineConfig({
  // Types and tests both read `src`; only the package test reads `dist`.
  ssr: { resolve: { conditions: ["@adastra/source"] } },
  resolve: { conditions: ["@adastra/source"] },
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    testTimeout: 30_000,
  },
});
